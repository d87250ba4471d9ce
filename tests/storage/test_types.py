"""Does a time come back as it was, from both databases?"""

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, example, given, settings
from sqlalchemy import Connection, DateTime, select, update
from sqlalchemy.dialects import sqlite

from app.storage.database import Database
from app.storage.errors import StatementFailed
from app.storage.tables import ForwardingRow
from app.storage.types import UtcDateTime
from tests.clock import START
from tests.moments import MOMENTS

ONE_DATABASE = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40
)


def keep(connection: Connection, moment: datetime | None) -> datetime | None:
    connection.execute(update(ForwardingRow).values(worker_seen_at=moment))
    kept: datetime | None = connection.execute(select(ForwardingRow.worker_seen_at)).scalar_one()
    return kept


@ONE_DATABASE
@given(MOMENTS)
@example(datetime(2026, 10, 25, 1, 30, 0, 1, tzinfo=UTC))
def test_the_same_instant_comes_back_and_says_utc(database: Database, moment: datetime) -> None:
    kept = database.write(lambda c: keep(c, moment))

    assert kept is not None
    assert kept == moment.astimezone(UTC)
    assert kept.tzinfo is UTC


@ONE_DATABASE
@given(MOMENTS, MOMENTS)
def test_the_database_orders_times_as_we_do(
    database: Database, kept: datetime, other: datetime
) -> None:
    def is_due(connection: Connection) -> bool:
        keep(connection, kept)
        statement = select(ForwardingRow.id).where(ForwardingRow.worker_seen_at <= other)
        return connection.execute(statement).first() is not None

    assert database.write(is_due) == (kept.astimezone(UTC) <= other.astimezone(UTC))


@given(MOMENTS)
def test_sqlites_text_is_that_of_sqlalchemy(moment: datetime) -> None:
    dialect = sqlite.dialect()
    theirs = DateTime().dialect_impl(dialect).bind_processor(dialect)
    ours = UtcDateTime().bind_processor(dialect)

    assert theirs is not None
    assert ours(moment) == theirs(moment.astimezone(UTC).replace(tzinfo=None))


def test_no_time_stays_no_time(database: Database) -> None:
    assert database.write(lambda c: keep(c, None)) is None


def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    naive = START.replace(tzinfo=None)

    with pytest.raises(StatementFailed, match="without a zone"):
        database.write(lambda c: keep(c, naive))

    assert database.write(lambda c: keep(c, START)) == START
