"""`vouch events` reads the same events as the API."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from app.domain.clock import utc_now
from app.domain.events import Event
from app.domain.rules import Rule
from app.steps.intake import Arrival, receive
from app.storage.database import Database
from tests.cli.conftest import Vouch
from tests.keys import KEYS

RULE = Rule(challenge_id=7, platform="somewhere", action="follow")


@pytest.fixture
def ids(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two events, of which the second fits no rule."""
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    monkeypatch.setenv("VOUCH_SECRET_KEYS", ",".join(KEYS))
    database = Database(sqlite_url, secret_keys=KEYS)
    for number, rules in enumerate(((RULE,), ())):
        at = utc_now() - timedelta(minutes=5 - number)
        event = Event(
            source="here",
            key=f"k{number}",
            platform="somewhere",
            action="follow",
            actor=f"account-{number}",
            occurred_at=at,
            received_at=at,
            payload=b'{"who": "\x1b[31mred"}',
            actor_handle="jo",
        )
        database.write_each(receive, [Arrival(event, rules, at + timedelta(days=1))])
    yield
    database.close()


@pytest.mark.usefixtures("ids")
def test_events_are_listed_with_what_they_earned(run: Vouch) -> None:
    lines = run("events", "list").stdout.splitlines()

    assert "fits no rule" in lines[1]
    assert "unlinked (7)" in lines[2]


@pytest.mark.usefixtures("ids")
def test_events_are_listed_as_json_and_filtered(run: Vouch) -> None:
    found = json.loads(run("events", "list", "--unmatched", "--json").stdout)

    assert [one["key"] for one in found["items"]] == ["k1"]
    assert found["nextCursor"] is None


@pytest.mark.usefixtures("ids")
def test_one_event_is_shown_with_its_payload_made_harmless(run: Vouch) -> None:
    [one] = json.loads(run("events", "list", "--matched", "--json").stdout)["items"]

    shown = run("events", "show", one["id"])

    assert "account-0 (jo)" in shown.stdout
    assert "who" in shown.stdout
    assert "\x1b" not in shown.stdout


@pytest.mark.usefixtures("ids")
def test_nothing_found_is_said(run: Vouch) -> None:
    assert run("events", "list", "--source", "elsewhere").stdout == "No event is like that.\n"


@pytest.mark.usefixtures("ids")
def test_an_unknown_or_impossible_id_is_refused(run: Vouch) -> None:
    unknown = run("events", "show", "00000000-0000-7000-8000-000000000000")

    assert (unknown.exit_code, run("events", "show", "x").exit_code) == (1, 2)


@pytest.mark.usefixtures("ids")
def test_a_wrong_criterion_is_named(run: Vouch) -> None:
    result = run("events", "list", "--source", "Not A Name")

    assert result.exit_code == 2
    assert "--source" in result.stderr
