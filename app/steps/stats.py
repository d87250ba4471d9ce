"""Counts attempts by time and kind."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select

from app.steps.history import made_between
from app.storage.tables import AttemptRow


class Per(StrEnum):
    """The length of one interval. Hours and days are in UTC."""

    HOUR = "hour"
    DAY = "day"


class By(StrEnum):
    """What counts are grouped by."""

    STATE = "state"
    CHALLENGE = "challenge"
    SOURCE = "source"


LENGTHS = {Per.HOUR: timedelta(hours=1), Per.DAY: timedelta(days=1)}
_COLUMNS = {
    By.STATE: AttemptRow.state,
    By.CHALLENGE: AttemptRow.challenge_id,
    By.SOURCE: AttemptRow.source,
}
# The beginning of a time as the databases write it: "2026-11-23 18" is an hour in UTC.
_POSTGRES_FORMATS = {Per.HOUR: "YYYY-MM-DD HH24", Per.DAY: "YYYY-MM-DD"}
_SQLITE_LENGTHS = {Per.HOUR: 13, Per.DAY: 10}


def counts(
    connection: Connection, from_at: datetime, to_at: datetime, per: Per, by: Sequence[By]
) -> list[Row[Any]]:
    """Count attempts created in a span, for each hour or day and each value of ``by``, by time.

    Each row has ``at`` (see `starts_at`), the columns of ``by``, and ``count``.
    """
    columns = [_COLUMNS[one] for one in by]
    statement = (
        select(_start(connection, per).label("at"), *columns, func.count().label("count"))
        .where(*made_between(from_at, to_at))
        .group_by("at", *columns)
        .order_by("at", *columns)
    )
    return list(connection.execute(statement))


def starts_at(written: str) -> datetime:
    """Return the start of an hour or day that `counts` returned."""
    return datetime.fromisoformat(written).replace(tzinfo=UTC)


def _start(connection: Connection, per: Per) -> ColumnElement[str]:
    if connection.dialect.name == "postgresql":
        return func.to_char(AttemptRow.created_at, _POSTGRES_FORMATS[per])
    return func.substr(AttemptRow.created_at, 1, _SQLITE_LENGTHS[per])
