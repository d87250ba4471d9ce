"""What is told, in a line, to whoever starts a command where it cannot work?"""

import logging
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import structlog

from app.cli import main
from tests.cli.conftest import Vouch

OUTDATED = "Error: the database is not at this version: run `vouch db upgrade`\n"
CREDENTIALS = {"GAMEBALL_API_KEY": "api-key", "GAMEBALL_SECRET_KEY": "secret-key"}


@pytest.fixture(autouse=True)
def _configured(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("vouch.toml").touch()
    for name, value in {"VOUCH_CONFIG": "vouch.toml", **CREDENTIALS}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What serves and works changes its process for good, which is its own otherwise."""
    for change in ("_share_metrics", "_raise_file_limit"):
        monkeypatch.setattr(f"app.cli.commands.serve.{change}", lambda: None)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)
    structlog.reset_defaults()


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str]:
    """How `vouch` ends, with what a person reads of it."""
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    return left.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        ("serve",),
        ("work",),
        ("keys", "list"),
        ("keys", "create", "--role", "admin", "--name", "me"),
        ("attempts", "list"),
        ("attempts", "show", "0123abcd"),
        ("audit",),
        ("alerts", "list"),
        ("purge", "--dry-run"),
        ("db", "restored", "--to", "1h"),
    ],
    ids=" ".join,
)
def test_a_shared_database_that_nobody_migrated_is_told_with_what_does(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, postgres_url: str, command: tuple[str, ...]
) -> None:
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    monkeypatch.setenv("VOUCH_SECRET_KEYS", "a-key-of-thirty-two-characters-!")

    result = run(*command)

    assert (result.exit_code, result.stderr) == (1, OUTDATED)


@pytest.mark.parametrize("command", [("serve",), ("work",), ("keys", "list"), ("db", "upgrade")])
def test_an_embedded_database_that_cannot_be_opened_is_told_in_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    Path("folder.db").mkdir()
    monkeypatch.setenv("DATABASE_URL", "sqlite:///folder.db")

    code, line = told(capsys, *command)

    assert code == 1
    assert line == "Error: the database does not answer: unable to open database file\n"


def test_a_folder_that_cannot_be_made_is_told_by_its_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("file").touch()
    monkeypatch.setenv("DATABASE_URL", "sqlite:///file/vouch.db")

    code, line = told(capsys, "keys", "create", "--role", "viewer", "--name", "me")

    assert code == 1
    assert line.startswith("error: file")
    assert line.count("\n") == 1


def test_a_screen_that_takes_nothing_is_told_in_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    told(capsys, "db", "upgrade")
    monkeypatch.setattr("app.cli.commands.keys.print_table", full)

    assert told(capsys, "keys", "list") == (1, "error: No space left on device\n")


def test_a_bug_in_a_library_is_not_taken_for_a_full_disk(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError("as requests' errors are")

    told(capsys, "db", "upgrade")
    monkeypatch.setattr("app.cli.commands.keys.print_table", broken)

    with pytest.raises(OSError, match="as requests' errors are"):
        main(["keys", "list"])


@pytest.mark.parametrize("command", [("sandbox", "--bind"), ("work", "--metrics")], ids=" ".join)
def test_a_port_that_is_taken_is_told_with_its_address(
    run: Vouch, command: tuple[str, ...]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        result = run(*command, address)

    assert result.exit_code == 1
    assert result.stderr.endswith(f"Error: cannot listen at {address}: Address already in use\n")


@pytest.mark.parametrize(
    ("missing", "options", "warns"),
    [
        ("GAMEBALL_API_KEY", (), True),
        ("GAMEBALL_SECRET_KEY", (), True),
        ("GAMEBALL_SECRET_KEY", ("--no-worker",), False),
        ("VOUCH_SECRET_KEYS", (), False),
    ],
)
def test_a_service_that_cannot_forward_says_so(
    run: Vouch,
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
    options: tuple[str, ...],
    warns: bool,
) -> None:
    monkeypatch.delenv(missing, raising=False)
    monkeypatch.setattr("app.server.application.WebServer.run", lambda _: None)

    result = run("serve", *options)

    assert ('"worker.absent"' in result.stderr) is warns


def test_an_address_that_is_none_is_told_with_the_option_that_has_it(run: Vouch) -> None:
    assert "Invalid value for --metrics" in run("work", "--metrics", "9100").stderr


def test_an_id_of_bytes_that_are_no_text_is_of_no_attempt(run: Vouch) -> None:
    run("db", "upgrade")

    result = run("attempts", "show", "\udcff")

    assert result.exit_code == 1
    assert result.stderr.endswith("Error: no attempt has such an id\n")
