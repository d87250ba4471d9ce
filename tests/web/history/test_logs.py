"""Is every line an event with fields, and does none give a secret away?"""

import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from app import logs
from app.service import Service
from app.steps.keys import Role
from app.web import create_app
from tests.web.history.conftest import Caller, follow

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """What was logged since, parsed. What the rest of the tests log by is put back at the end."""
    root = logging.getLogger()
    kept, level, config = root.handlers[:], root.level, structlog.get_config()
    shown = warnings.showwarning
    logs.configure("debug", pretty=False)
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    structlog.configure(**config)
    logging.captureWarnings(False)
    warnings.showwarning = shown
    root.handlers[:] = kept
    root.setLevel(level)


def test_an_event_is_one_line_of_json_with_its_fields(lines: Lines) -> None:
    structlog.get_logger().info("webhook.received", source="twitch", new=2, states=("due",))

    (line,) = lines()
    assert list(line)[:3] == ["time", "level", "event"]
    assert line["time"].endswith("Z")
    assert {**line, "time": None} == {
        "time": None,
        "level": "info",
        "event": "webhook.received",
        "source": "twitch",
        "new": 2,
        "states": ["due"],
    }


def test_what_a_field_contains_breaks_no_line(lines: Lines) -> None:
    nasty = 'two\nlines "quoted" \x00 Ünï \ud800'

    structlog.get_logger().warning("webhook.refused", reason=nasty, odd=object(), raw=b"\xff")

    (line,) = lines()
    assert line["reason"] == nasty


def test_libraries_go_the_same_way(lines: Lines) -> None:
    logging.getLogger("gunicorn.error").warning("Worker %d was killed", 7)
    logging.getLogger("alembic.runtime.migration").info("Running upgrade")
    warnings.showwarning("an old habit", UserWarning, "habit.py", 7)

    killed, upgrade, habit = lines()
    assert (killed["logger"], killed["event"]) == ("gunicorn.error", "Worker 7 was killed")
    assert (upgrade["level"], upgrade["event"]) == ("info", "Running upgrade")
    assert (habit["logger"], habit["level"]) == ("py.warnings", "warning")
    assert "an old habit" in habit["event"]


def test_a_library_that_set_up_its_own_handler_is_taken_over(lines: Lines) -> None:
    logger = logging.getLogger("gunicorn.error")
    logger.addHandler(logging.StreamHandler(sys.stderr))
    logger.propagate = False

    logs.configure(pretty=False)
    logger.error("once")

    assert [line["event"] for line in lines()] == ["once"]


def test_an_exception_is_a_field(lines: Lines) -> None:
    try:
        raise ValueError("no such thing")
    except ValueError:
        structlog.get_logger().exception("worker.failed")
        logging.getLogger("library").exception("failed")

    ours, theirs = lines()
    for line in (ours, theirs):
        assert line["level"] == "error"
        assert line["exception"].startswith("Traceback")
        assert "no such thing" in line["exception"]


@pytest.mark.parametrize(
    ("level", "expected"), [("info", ["b", "c"]), ("warning", ["c"]), ("debug", ["a", "b", "c"])]
)
def test_only_what_is_grave_enough_is_logged(lines: Lines, level: str, expected: list[str]) -> None:
    logs.configure(level, pretty=False)

    for logger in (structlog.get_logger(), logging.getLogger("library")):
        logger.debug("a")
        logger.info("b")
        logger.warning("c")

    assert [line["event"] for line in lines()] == expected * 2


def test_an_unknown_level_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        logs.configure("loud")


@pytest.mark.parametrize(
    "name",
    [
        "secret", "token", "Authorization", "password", "api_key", "apiKey", "secretkey",
        "access_token", "X-Signature", "Cookie", "email", "mobile", "payload", "body",
        "claimToken", "client-secret",
    ],
)  # fmt: skip
def test_a_field_named_like_a_secret_is_not_shown(lines: Lines, name: str) -> None:
    structlog.get_logger().info("x", **{name: "canary"}, deep={"list": [{name: "canary"}]})

    (line,) = lines()
    assert line[name] == logs.REDACTED
    assert "canary" not in json.dumps(line)


@pytest.mark.parametrize("name", ["source", "key", "tokens_left", "secretary", "embody", "reason"])
def test_other_fields_are(lines: Lines, name: str) -> None:
    structlog.get_logger().info("x", **{name: "shown"})

    assert lines()[0][name] == "shown"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Authorization: Bearer abc.def-1", "Authorization: [redacted]"),
        ("key vouch_0123456789ab_AbC-_9 was refused", "key [redacted] was refused"),
        ("postgresql+psycopg://vouch:pa55@db:5432/v", "postgresql+psycopg://[redacted]@db:5432/v"),
        ("https://example.com/a@b", "https://example.com/a@b"),
    ],
)
def test_what_looks_like_a_secret_is_not_shown_inside_a_text(
    lines: Lines, written: str, shown: str
) -> None:
    structlog.get_logger().info("x", problem=written)
    logging.getLogger("library").warning("%s", written)

    ours, theirs = lines()
    assert ours["problem"] == shown
    assert theirs["event"] == shown


def test_requests_leave_no_key_and_no_body_in_the_log(
    service: Service, call_as: Callable[[Role], Caller], lines: Lines
) -> None:
    caller = call_as(Role.OPERATOR)
    body, headers = follow(service, "canary-actor")
    client = create_app(service).test_client()

    client.post("/webhooks/twitch", data=body, headers=headers)
    client.post("/webhooks/twitch", data=b'{"canary-body": 1}', headers=headers)
    caller.get("/v1/attempts", q="canary-query")
    caller.post("/v1/attempts/replay", {"all": True, "q": "canary-body"})
    Caller(client, "vouch_000000000000_canary-key").get("/v1/attempts")

    logged = lines()
    assert {line["event"] for line in logged} == {
        "webhook.received",
        "webhook.refused",
        "bulk.started",
    }
    everything = json.dumps(logged)
    assert caller.key not in everything
    assert "canary" not in everything


def test_a_person_is_shown_readable_lines(lines: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(pretty=True)

    structlog.get_logger().info("webhook.received", source="twitch", secret="canary")
    logging.getLogger("library").warning("careful")

    ours, theirs = capsys.readouterr().err.splitlines()
    assert "webhook.received" in ours
    assert "source=twitch" in ours
    assert "canary" not in ours
    assert "careful" in theirs


def test_stderr_that_is_no_terminal_gets_json() -> None:
    script = "import structlog; from app import logs; logs.configure(); "
    script += "structlog.get_logger().info('started', n=1)"

    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    assert json.loads(ended.stderr)["event"] == "started"
    assert ended.stdout == ""
