"""Does a flood cost the database nothing, and is yet nothing of it forgotten?"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select
from structlog.testing import capture_logs

from app.domain.clock import utc_now
from app.domain.sources import LONGEST_WINDOW_SECONDS, Expected, RefusalLimit, Seen
from app.platforms.kit.callback import SubscriptionLease
from app.steps import proxies
from app.steps.sightings import SightingsBuffer
from app.steps.sources import judged_seen, seen_of
from app.storage.database import Database
from app.storage.errors import StorageUnavailable
from app.storage.tables import SourceMinuteRow
from tests.clock import START
from tests.keys import KEYS

NEVER = 3_600.0


class CountedDatabase(Database):
    """Counts its transactions, and fails while it is told to."""

    writes = 0
    is_failing = False

    def write(self, step: Callable[[Connection], Any]) -> Any:
        self.writes += 1
        if self.is_failing:
            raise StorageUnavailable("the disk is full")
        return super().write(step)


@pytest.fixture
def database(database_url: str) -> Iterator[CountedDatabase]:
    database = CountedDatabase(database_url, secret_keys=KEYS)
    yield database
    database.close()


def seen(database: Database, source: str = "twitch") -> Seen:
    with database.read() as connection:
        return seen_of(connection, [source])[source]


def test_a_flood_of_forged_callbacks_is_one_write(database: CountedDatabase) -> None:
    watch = SightingsBuffer(database, NEVER)

    for number in range(10_000):
        watch.refused("twitch", START, "forged", f"reason {number}")
    before = database.writes
    watch.flush()

    assert (before, database.writes) == (0, 1)
    assert seen(database).refusals_in_a_row == 10_000
    assert seen(database).refusal_reason == "reason 9999"
    watch.close()


def test_a_flood_that_goes_on_is_written_once_each_interval(database: CountedDatabase) -> None:
    watch = SightingsBuffer(database, 0.2)
    began = time.monotonic()
    sent = 0

    while time.monotonic() - began < 1:
        watch.refused("twitch", START, "forged", "no header")
        sent += 1
        time.sleep(0.0005)
    watch.close()

    assert database.writes <= 1 + (time.monotonic() - began) / 0.2
    assert seen(database).refusals_in_a_row == sent > database.writes


def test_what_nobody_saw_is_not_written(database: CountedDatabase) -> None:
    watch = SightingsBuffer(database, 0.01)
    watch.believed("twitch", START)

    deadline = time.monotonic() + 10
    while database.writes == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    watch.close()

    assert database.writes == 1


def test_what_the_database_did_not_take_is_written_later(database: CountedDatabase) -> None:
    watch = SightingsBuffer(database, NEVER)
    watch.refused("twitch", START, "forged", "early")
    watch.proved("twitch", START, SubscriptionLease("topic", 60))
    database.is_failing = True
    watch.flush()
    watch.refused("twitch", START, "malformed", "late")

    database.is_failing = False
    watch.close()

    found = seen(database)
    assert (found.refusals_in_a_row, found.refusal_reason) == (2, "late")
    assert found.handshake_at == START
    assert [one.topic for one in found.subscriptions] == ["topic"]


def test_closing_writes_the_rest_and_ends_the_thread(database: CountedDatabase) -> None:
    watch = SightingsBuffer(database, NEVER)
    watch.believed("twitch", START)
    watch.noticed("twitch", START, "revoked")

    watch.close()

    assert (seen(database).callback_at, seen(database).notice) == (START, "revoked")
    assert "watch" not in {thread.name for thread in threading.enumerate()}


def test_a_reason_is_kept_as_one_line_of_bounded_length(
    database: CountedDatabase,
) -> None:
    watch = SightingsBuffer(database, NEVER)

    watch.refused("twitch", START, "forged", "a\x00b\n\ud800" + "c" * 10_000)
    watch.close()

    reason = seen(database).refusal_reason or ""
    assert reason.startswith("abc")
    assert len(reason) <= 255


def test_a_proxy_that_is_not_trusted_is_logged_once_and_written_down_now_and_then(
    database: CountedDatabase,
) -> None:
    watch = SightingsBuffer(database, NEVER)

    with capture_logs() as logs:
        for minute in range(25):
            watch.proxied(START + timedelta(minutes=minute), "X-Forwarded-For")
            watch.flush()
    watch.close()

    assert [line["event"] for line in logs] == ["proxy.not_trusted"]
    assert "trusted_proxies" in logs[0]["meaning"]
    with database.read() as connection:
        found = proxies.untrusted(connection, 0, START + timedelta(days=1))
        late = proxies.untrusted(connection, 0, START + timedelta(days=8))
        trusted = proxies.untrusted(connection, 1, START)
    assert found is not None
    assert found[0] == START + timedelta(minutes=20)
    assert (late, trusted) == (None, None)


def test_callbacks_are_counted_by_the_minute(database: CountedDatabase) -> None:
    watch = SightingsBuffer(database, NEVER)
    limit = RefusalLimit(0.5, 1, within_seconds=600)
    for minutes, refusals in ((0, 5), (9, 2), (10, 1)):
        at = START + timedelta(minutes=minutes)
        watch.believed("twitch", at)
        for _ in range(refusals):
            watch.refused("twitch", at, "forged", "r")
        watch.flush()

    counts = [counted(database, limit, START + timedelta(minutes=m)) for m in (0, 10, 30)]

    assert counts == [(3, 8), (2, 3), (0, 0)]
    watch.close()


def counted(database: Database, limit: RefusalLimit, now: datetime) -> tuple[int, int]:
    """How many were believed and refused within the window, and since."""
    with database.read() as connection:
        found = judged_seen(connection, {"twitch": Expected(refusals=limit)}, now)["twitch"]
    return found.believed, found.refused


def test_a_minute_is_forgotten_after_the_longest_window(database: CountedDatabase) -> None:
    watch = SightingsBuffer(database, NEVER)
    for seconds in (0, 60, LONGEST_WINDOW_SECONDS + 60):
        watch.refused("twitch", START + timedelta(seconds=seconds), "forged", "r")
        watch.refused("other", START, "forged", "r")
        watch.flush()

    with database.read() as connection:
        kept = connection.execute(select(SourceMinuteRow.source, SourceMinuteRow.refused)).all()

    assert sorted(kept) == [("other", 3), ("twitch", 1), ("twitch", 1)]
    watch.close()


def test_threads_lose_nothing(database: CountedDatabase) -> None:
    watch = SightingsBuffer(database, 0.001)

    def refuse() -> None:
        for _ in range(500):
            watch.refused("twitch", START, "forged", "r")

    threads = [threading.Thread(target=refuse) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    watch.close()

    assert seen(database).refusals_in_a_row == 4_000


WEB_PROCESSES = """
import json, os, sys, time
from app.service import build_service
from app.settings.environment import read_environment
from app.web import create_app
service = build_service(read_environment())
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        client = create_app(service).test_client()
        for _ in range(40):
            client.post("/webhooks/twitch", data=b"{}")
        service.close()
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
"""


def test_several_web_processes_agree(database_url: str, tmp_path: Path) -> None:
    config = tmp_path / "vouch.toml"
    config.write_text(
        '[[sources]]\nname = "twitch"\nplatform = "twitch"\nsecrets = ["env:TWITCH_SECRET"]\n'
    )
    variables = {
        "DATABASE_URL": database_url,
        "VOUCH_CONFIG": str(config),
        "VOUCH_SECRET_KEYS": "a-key-of-more-than-sixteen",
        "TWITCH_SECRET": "a-secret-of-ours",
    }

    subprocess.run(
        [sys.executable, "-c", WEB_PROCESSES],
        env={**os.environ, **variables},
        capture_output=True,
        check=True,
        timeout=60,
    )

    database = Database(database_url, secret_keys=KEYS)
    found = seen(database)
    _, refused = counted(database, RefusalLimit(0.5, 1, 3_600), utc_now())
    database.close()
    assert found.refusals_in_a_row == refused == 120
    assert found.refusal_kind == "forged"
