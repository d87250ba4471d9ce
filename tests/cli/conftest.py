"""How do the tests run `vouch`, and what stands on the other end of what it calls?"""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from click.testing import CliRunner, Result

from app.cli import vouch
from app.domain.clock import utc_now
from app.platforms import adapters
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Example
from app.platforms.kit.examples import example_source, templates
from app.settings.environment import VARIABLES

PLATFORMS = sorted(adapters())
any_platform = pytest.mark.parametrize("platform", PLATFORMS)

Vouch = Callable[..., Result]


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A command sees an empty folder and none of the variables of whoever runs the tests."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run() -> Vouch:
    def run(*arguments: str, stdin: bytes | str | None = None) -> Result:
        return CliRunner().invoke(
            vouch, arguments, input=stdin, prog_name="vouch", catch_exceptions=False
        )

    return run


@dataclass
class Receiver:
    """A service that answers every callback alike, and keeps what it was sent."""

    url: str
    status: int = 204
    body: bytes = b""
    received: list[tuple[str, Callback]] = field(default_factory=list)

    @property
    def callbacks(self) -> list[Callback]:
        return [callback for _, callback in self.received]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            address = urlsplit(self.path)
            query = dict(parse_qsl(address.query))
            kept = Callback("POST", headers, query, body, utc_now())
            service.received.append((address.path, kept))
            self.send_response(service.status)
            self.send_header("Content-Length", str(len(service.body)))
            self.end_headers()
            self.wfile.write(service.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Quiet."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        service = Receiver(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield service
        server.shutdown()
        thread.join()


def adapter_of(platform: str) -> Adapter:
    """An adapter of the platform's example source."""
    kind = adapters()[platform]
    return kind(kind.config.model_validate(example_source(platform)))


def is_secret(platform: str, key: str) -> bool:
    """Whether a key of a source holds secrets, which a configuration refers to."""
    return "Secret" in str(adapters()[platform].config.model_fields[key].annotation)


def example_options(platform: str) -> list[str]:
    """The example source as options of `vouch verify` and `vouch send`."""
    options: list[str] = []
    for key, value in example_source(platform).items():
        values = value if isinstance(value, list) else [value]
        if isinstance(value, dict):
            values = [f"{name}={one}" for name, one in value.items()]
        if key == "secrets":
            options += [part for secret in values for part in ("--secret", secret)]
        elif key not in ("name", "platform"):
            options += [part for one in values for part in ("--set", f"{key}={one}")]
    return options


def signed_example(platform: str, at: datetime | None = None) -> Example:
    """The platform's first example, signed at that time or now."""
    now = at or utc_now()
    template = next(iter(templates(platform).values()))
    example = template.fill(actor="41", target="42", key="43", now=now)
    return adapter_of(platform).sign(example, now)


def header_options(headers: Mapping[str, str]) -> list[str]:
    return [part for name, value in headers.items() for part in ("--header", f"{name}: {value}")]


def query_options(query: Mapping[str, str]) -> list[str]:
    return [part for item in query.items() for part in ("--query", urlencode([item]))]
