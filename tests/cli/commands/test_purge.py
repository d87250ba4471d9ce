"""`vouch purge` lets go of what is old, and counts first when asked."""

import json
from datetime import timedelta
from typing import Any

import pytest

from app.domain.clock import utc_now
from app.domain.events import Event
from app.steps.intake import Arrival, receive
from app.steps.retention import Kept
from app.storage.database import Database
from app.storage.tables import EVENTS
from tests.cli.conftest import Vouch
from tests.keys import KEYS


@pytest.fixture
def database(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Database:
    """Two events, one of which is 31 days old."""
    config = tmp_path_factory.mktemp("config") / "vouch.toml"
    config.write_text("")
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    monkeypatch.setenv("VOUCH_CONFIG", str(config))
    monkeypatch.setenv("VOUCH_SECRET_KEYS", ",".join(KEYS))
    database = Database(sqlite_url, secret_keys=KEYS)
    for days in (31, 1):
        at = utc_now() - timedelta(days=days)
        event = Event(
            source="here",
            key=f"key-{days}",
            platform="twitch",
            action="follow",
            actor="99",
            occurred_at=at,
            received_at=at,
            payload=b"{}",
        )
        database.write_each(receive, [Arrival(event, (), at)])
    return database


def payloads(database: Database) -> list[bool]:
    with database.read() as connection:
        rows = connection.execute(EVENTS.select().order_by(EVENTS.c.id)).all()
    database.close()
    return [row.payload is not None for row in rows]


def audited(run: Vouch) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(run("audit", "--json").stdout)["items"]
    return items


def test_a_dry_run_counts_and_changes_nothing(run: Vouch, database: Database) -> None:
    result = run("purge", "--dry-run", "--json")

    assert json.loads(result.stdout) == {
        "dryRun": True,
        "purged": {**{str(kind): 0 for kind in Kept}, "payloads": 1},
    }
    assert payloads(database) == [True, True]
    assert audited(run) == []


def test_what_is_old_is_let_go_of(run: Vouch, database: Database) -> None:
    first = run("purge").stdout
    again = json.loads(run("purge", "--json").stdout)

    assert first.splitlines()[1].split()[0] == "payloads"
    assert first.splitlines()[1].split()[-1] == "1"
    assert set(again["purged"].values()) == {0}
    assert payloads(database) == [False, True]


@pytest.mark.usefixtures("database")
def test_the_audit_log_tells_who_let_go_of_what_and_not_that_there_was_nothing(run: Vouch) -> None:
    run("purge")
    run("purge")

    (entry,) = audited(run)
    assert (entry["change"], entry["by"].split(":")[0]) == ("database.purged", "cli")
    assert list(entry["details"]["olderThan"]) == ["payloads"]
