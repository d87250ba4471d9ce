"""How do the tests run `vouch`, and what stands on the other end of what it calls?"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner, Result

from app.cli import vouch
from app.domain.clock import utc_now
from app.platforms import adapters
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Example
from app.platforms.kit.examples import example_source, templates
from app.settings.environment import VARIABLES
from tests.receiver import Receiver, listening

# Those that tell of actions. What tells of rewards has tests of its own.
PLATFORMS = sorted(name for name, kind in adapters().items() if not kind.reports_rewards)
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


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as service:
        yield service


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
