"""In whose hands is an attempt? One worker's at a time, and one attempt of a customer."""

from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, exists, select, update
from sqlalchemy.orm import aliased

from app.domain.attempts import State
from app.storage.tables import AttemptRow


def take(
    connection: Connection, attempt_id: str, lease_until: datetime, now: datetime
) -> Row[Any] | None:
    """Take the attempt by one conditional UPDATE, unless its customer has one in flight."""
    statement = (
        update(AttemptRow)
        .where(
            AttemptRow.id == attempt_id,
            AttemptRow.state == State.DUE,
            AttemptRow.next_at <= now,
            # Its customer is being erased, and waits only for what is in flight.
            AttemptRow.erased_at.is_(None),
            ~has_one_in_flight(),
        )
        .values(lease_until=lease_until, fence=AttemptRow.fence + 1)
        .returning(AttemptRow.__table__)
    )
    return connection.execute(statement).one_or_none()


def give_back(connection: Connection, attempt_id: str, fence: int, **values: Any) -> bool:
    """Give a lease back; False when it was no longer this one."""
    statement = (
        update(AttemptRow)
        .where(
            AttemptRow.id == attempt_id,
            AttemptRow.fence == fence,
            AttemptRow.lease_until.is_not(None),
        )
        .values(lease_until=None, **values)
    )
    return connection.execute(statement).rowcount == 1


def lost(connection: Connection, now: datetime, limit: int) -> list[Row[Any]]:
    """The attempts whose lease ran out: whoever held them is gone, or too late."""
    statement = (
        select(AttemptRow.id, AttemptRow.fence, AttemptRow.round)
        .where(AttemptRow.lease_until.is_not(None), AttemptRow.lease_until < now)
        .limit(limit)
    )
    return list(connection.execute(statement))


@cache
def has_one_in_flight() -> ColumnElement[bool]:
    """Whether a worker holds any attempt of the attempt's customer, itself included.

    Made once: saying it takes SQLAlchemy longer than the database needs to find out.
    """
    other = aliased(AttemptRow)
    return exists().where(
        other.customer_id == AttemptRow.customer_id, other.lease_until.is_not(None)
    )
