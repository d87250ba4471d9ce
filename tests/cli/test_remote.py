"""Do commands say of a running service what they say of its database?"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import Result
from werkzeug.serving import make_server

from app.domain.clock import utc_now
from app.domain.roles import Role
from app.service import Service, build_service
from app.settings.environment import read_environment
from app.steps import keys
from app.web import create_app
from tests.cli.conftest import Vouch

ROOT = Path(__file__).parents[2]
CONFIGURATION = """
[[sources]]
name = "twitch"
platform = "twitch"
secrets = ["env:TWITCH_SECRET"]

[[rules]]
challenge_id = 7
source = "twitch"
action = "follow"
"""

Make = Callable[[Role], str]


@pytest.fixture
def service(
    database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Service]:
    (tmp_path / "vouch.toml").write_text(CONFIGURATION, "utf-8")
    monkeypatch.setenv("TWITCH_SECRET", "a-secret-of-tests")
    monkeypatch.setenv("DATABASE_URL", database_url.replace("+psycopg", ""))
    monkeypatch.setenv("VOUCH_SECRET_KEYS", "a-key-of-these-tests")
    monkeypatch.setenv("VOUCH_CONFIG", str(tmp_path / "vouch.toml"))
    service = build_service(read_environment())
    yield service
    service.close()


@pytest.fixture
def url(service: Service) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, create_app(service), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def key(service: Service) -> Make:
    def make(role: Role) -> str:
        return service.database.write(lambda c: keys.create(c, role, "test", utc_now()))[1]

    return make


@pytest.fixture
def both(
    run: Vouch, url: str, key: Make, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Result, Result]]:
    """A command on the database, and the same over the service with an admin's key."""
    secret = key(Role.ADMIN)

    def both(*arguments: str) -> tuple[Result, Result]:
        here = run(*arguments)
        monkeypatch.setenv("VOUCH_KEY", secret)
        there = run("--url", url, *arguments)
        monkeypatch.delenv("VOUCH_KEY")
        return here, there

    return both


def made(run: Vouch, service: Service) -> str:
    """An attempt of ann's that is due; its id."""
    run("identities", "link", "twitch", "1", "ann", "--email", "ann@example.com")
    for number in range(2):
        _follow(service, str(1 + number))
    listed = json.loads(run("attempts", "list", "--customer", "ann", "--json").stdout)
    return str(listed["items"][0]["id"])


def _follow(service: Service, account: str) -> None:
    from app.domain.events import Event

    now = utc_now()
    event = Event(
        source="twitch",
        key=f"k{account}",
        platform="twitch",
        action="follow",
        actor=account,
        occurred_at=now,
        received_at=now,
        payload=b"{}",
    )
    service.receive([event])


@pytest.mark.parametrize(
    "arguments",
    [
        ("attempts", "list"),
        ("attempts", "list", "--state", "due", "--from", "yesterday", "--json"),
        ("attempts", "list", "--limit", "1"),
        ("attempts", "export", "--format", "ndjson"),
        ("attempts", "replay", "--state", "dead", "--dry-run"),
        ("attempts", "cancel", "--challenge", "7", "--dry-run", "--json"),
        ("events", "list", "--matched"),
        ("identities", "list", "--customer", "ann"),
        ("audit", "--change", "identity.linked"),
        ("alerts", "list", "--json"),
        ("attempts", "show", "0000000000"),
        ("attempts", "list", "--challenge", "seven"),
        ("events", "list", "--cursor", "x"),
        ("audit", "--change", "nonsense"),
        ("attempts", "replay", "--state", "granted"),
    ],
)
def test_both_say_the_same(
    both: Callable[..., tuple[Result, Result]],
    run: Vouch,
    service: Service,
    arguments: tuple[str, ...],
) -> None:
    made(run, service)

    here, there = both(*arguments)

    assert (there.exit_code, there.stdout) == (here.exit_code, here.stdout)
    assert there.stderr.splitlines()[-1:] == here.stderr.splitlines()[-1:]


def test_one_attempt_is_shown_cancelled_and_its_refusal_told(
    run: Vouch, service: Service, url: str, key: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = made(run, service)
    monkeypatch.setenv("VOUCH_URL", url)
    monkeypatch.setenv("VOUCH_KEY", key(Role.OPERATOR))

    shown = json.loads(run("attempts", "show", attempt[:13], "--json").stdout)
    cancelled, again = run("attempts", "cancel", attempt), run("attempts", "cancel", attempt)
    many = run("attempts", "cancel", "--all", "--yes")

    assert shown["id"] == attempt
    # The log of the service, which runs in this process, is there too.
    assert cancelled.stdout.endswith("1 of 1 attempts are withdrawn.\n")
    assert again.exit_code == 1
    assert attempt in again.stderr
    assert many.stdout.endswith("1 of 1 attempts are withdrawn.\n")


def test_an_operator_may_link_list_and_unlink(
    run: Vouch, service: Service, url: str, key: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOUCH_URL", url)
    monkeypatch.setenv("VOUCH_KEY", key(Role.OPERATOR))

    linked = run("identities", "link", "twitch", "a/b", "ann")
    taken = run("identities", "link", "twitch", "a/b", "bob")
    typo = run("identities", "link", "twich", "1", "ann")
    listed = run("identities", "list", "--customer", "ann")
    gone, missing = (run("identities", "unlink", "twitch", "a/b") for _ in range(2))

    assert linked.stdout.endswith("twitch/a/b is ann's.\n")
    assert (taken.exit_code, "another customer" in taken.stderr) == (1, True)
    assert (typo.exit_code, "platform" in typo.stderr.lower()) == (2, True)
    assert "a/b" in listed.stdout
    assert (gone.exit_code, missing.exit_code) == (0, 1)


def test_a_link_at_the_database_is_audited_with_who_is_at_the_terminal(
    run: Vouch, service: Service
) -> None:
    run("identities", "link", "twitch", "1", "ann")
    run("identities", "unlink", "twitch", "1")

    entries = json.loads(run("audit", "--json").stdout)["items"]

    assert [one["change"] for one in entries] == ["identity.unlinked", "identity.linked"]
    assert all(one["by"].startswith("cli") for one in entries)


def test_a_viewer_sees_accounts_without_contacts_and_may_not_link(
    run: Vouch, service: Service, url: str, key: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(run, service)
    monkeypatch.setenv("VOUCH_URL", url)
    monkeypatch.setenv("VOUCH_KEY", key(Role.VIEWER))

    listed = run("identities", "list", "--customer", "ann", "--json")
    refused = run("identities", "unlink", "twitch", "1")

    assert json.loads(listed.stdout)["items"][0]["email"] is None
    assert refused.exit_code == 1
    assert "needs a key with the role backend or operator" in refused.stderr


def test_a_key_is_needed_and_is_read_from_a_file(
    run: Vouch, url: str, key: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text(key(Role.VIEWER) + "\n", "utf-8")

    without = run("--url", url, "attempts", "list")
    wrong = run("--url", url, "--key", "vouch_x", "attempts", "list")
    monkeypatch.setenv("VOUCH_KEY_FILE", str(tmp_path / "key"))
    with_file = run("--url", url, "attempts", "list")

    assert (without.exit_code, "VOUCH_KEY" in without.stderr) == (2, True)
    assert (wrong.exit_code, "unknown or revoked" in wrong.stderr) == (1, True)
    assert with_file.exit_code == 0


class _Elsewhere(BaseHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012 -- shared on purpose

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status = 302 if "attempts" in self.path else 200
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/stolen")
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"<ht>")

    def log_message(self, *_: object) -> None:
        pass


def test_a_proxy_of_the_environment_is_not_asked_for_a_service_on_this_machine(
    run: Vouch, url: str, key: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("VOUCH_KEY", key(Role.VIEWER))

    assert run("--url", url, "attempts", "list").exit_code == 0


def test_a_redirect_is_not_followed_and_a_stranger_is_told(run: Vouch) -> None:
    with HTTPServer(("127.0.0.1", 0), _Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"

        redirected = run("--url", url, "--key", "k", "attempts", "list")
        stranger = run("--url", url, "--key", "k", "alerts", "list")
        server.shutdown()

    assert (redirected.exit_code, "redirects elsewhere" in redirected.stderr) == (1, True)
    assert (stranger.exit_code, "does not answer as Vouch does" in stranger.stderr) == (1, True)
    assert not any("stolen" in path for path in _Elsewhere.asked)


def test_nobody_there_and_an_address_that_shows_the_key_are_told(run: Vouch) -> None:
    nobody = run("--url", "http://127.0.0.1:9", "--key", "k", "attempts", "list")
    open_ = run("--url", "http://shop.example", "--key", "k", "attempts", "list")

    assert (nobody.exit_code, "does not answer" in nobody.stderr) == (1, True)
    assert (open_.exit_code, "https://" in open_.stderr) == (2, True)


@pytest.mark.parametrize("is_remote", [False, True])
def test_tail_tells_each_step_in_a_line_until_ctrl_c(
    run: Vouch, service: Service, url: str, key: Make, is_remote: bool
) -> None:
    attempt = made(run, service)
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from app.cli import main; main(sys.argv[1:])"
    )
    where = {"VOUCH_URL": url, "VOUCH_KEY": key(Role.VIEWER)} if is_remote else {}
    with subprocess.Popen(
        [sys.executable, "-uc", program, "attempts", "tail", "--every", "0.2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **where, "PYTHONPATH": str(ROOT)},
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        try:
            assert child.stderr.readline().startswith("Following")
            # It looks once before it follows.
            threading.Event().wait(3)
            run("attempts", "cancel", attempt)
            _follow(service, "9")
            lines = [child.stdout.readline(), child.stdout.readline()]
            child.send_signal(signal.SIGINT)
            assert child.wait(20) == 0
        finally:
            child.kill()

    assert any(attempt[:18] in line and "due -> withdrawn" in line for line in lines)
    assert any("unlinked" in line for line in lines)
