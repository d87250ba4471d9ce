"""Is a subscription asked for in time, and by one of us only?"""

from datetime import datetime, timedelta

import pytest

from app.steps.sources import Sighting, keep, seen_of
from app.steps.subscriptions import ASKED_AGAIN_AFTER, failed, is_due, take
from app.storage.database import Database
from tests.clock import START

TOPIC = "https://hub.example/topic"
DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)


def grant(database: Database, days: float = 2) -> None:
    sighting = Sighting(handshake_at=START, granted_seconds={TOPIC: days * 86_400})
    database.write(lambda connection: keep(connection, {"tube": sighting}))


def due(database: Database, at: datetime = START) -> bool:
    with database.read() as connection:
        return is_due(connection, "tube", TOPIC, at)


def taken(database: Database, at: datetime = START) -> bool:
    return database.write(lambda c: take(c, "tube", TOPIC, at))


def test_what_was_never_granted_is_due(database: Database) -> None:
    assert due(database)


@pytest.mark.parametrize(
    ("later", "expected"), [(DAY - MOMENT, False), (DAY, True), (2 * DAY, True), (9 * DAY, True)]
)
def test_what_was_granted_is_due_from_half_of_its_time_on(
    database: Database, later: timedelta, expected: bool
) -> None:
    grant(database)

    assert due(database, START + later) is expected


def test_only_one_of_us_asks(database: Database) -> None:
    assert [taken(database) for _ in range(3)] == [True, False, False]
    assert not due(database)


def test_who_asked_by_a_clock_that_was_ahead_keeps_nobody_from_asking(database: Database) -> None:
    taken(database, START + DAY)

    assert due(database)
    assert [taken(database) for _ in range(2)] == [True, False]


def test_it_is_asked_again_when_no_grant_came(database: Database) -> None:
    taken(database)
    before, then = START + ASKED_AGAIN_AFTER - MOMENT, START + ASKED_AGAIN_AFTER

    assert (due(database, before), taken(database, before)) == (False, False)
    assert (due(database, then), taken(database, then)) == (True, True)


def test_what_went_wrong_is_kept_until_it_is_granted(database: Database) -> None:
    taken(database)
    database.write(lambda connection: failed(connection, "tube", TOPIC, "503"))
    with database.read() as connection:
        wrong = seen_of(connection, ["tube"])["tube"].subscriptions[0]

    grant(database)

    with database.read() as connection:
        granted = seen_of(connection, ["tube"])["tube"].subscriptions[0]
    assert (wrong.asked_at, wrong.answer, wrong.lapses_at) == (START, "503", None)
    assert (granted.answer, granted.lapses_at) == (None, START + 2 * DAY)


def test_sources_and_topics_are_asked_for_apart(database: Database) -> None:
    taken(database)

    assert database.write(lambda c: take(c, "tube", "another", START))
    assert database.write(lambda c: take(c, "another", TOPIC, START))
