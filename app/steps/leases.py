"""In whose hands is an attempt? One worker's at a time, and one attempt of a customer.

Nobody waits for a row that another transaction holds: that one may last, and the others' attempts
would wait along.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, exists, select, update

from app.domain.attempts import State
from app.steps.clock_skew import ran_out, times
from app.storage.tables import AttemptRow, aliased

_OTHER = aliased(AttemptRow)
# Whether a worker holds any attempt of the attempt's customer, itself included.
HAS_ONE_IN_FLIGHT = exists().where(
    _OTHER.customer_id == AttemptRow.customer_id, _OTHER.lease_until.is_not(None)
)

# Made once: SQLAlchemy takes longer to prepare a statement than the database to run it. What is
# set are the parameters that are named like columns.
_WANTED = select(AttemptRow.id).where(AttemptRow.id == bindparam("wanted"))
_ACQUIRE = (
    update(AttemptRow)
    .where(
        AttemptRow.id == _WANTED.with_for_update(skip_locked=True).scalar_subquery(),
        AttemptRow.state == State.DUE,
        AttemptRow.next_at <= bindparam("now"),
        # Its customer is being erased, and waits only for what is in flight.
        AttemptRow.erased_at.is_(None),
        ~HAS_ONE_IN_FLIGHT,
    )
    .values(lease_until=bindparam("until"), fence=AttemptRow.fence + 1)
    .returning(AttemptRow.__table__)
)
_RELEASE = update(AttemptRow).where(
    AttemptRow.id == bindparam("held"),
    AttemptRow.fence == bindparam("held_by"),
    AttemptRow.lease_until.is_not(None),
)
_HELD = (
    select(AttemptRow.id)
    .where(
        AttemptRow.id == bindparam("held"),
        AttemptRow.fence == bindparam("held_by"),
        AttemptRow.lease_until.is_not(None),
    )
    .with_for_update()
)
# Whether a lease ran out; to be executed with `times`.
RAN_OUT = AttemptRow.lease_until.is_not(None) & ran_out(AttemptRow.lease_until)
_EXPIRED = (
    select(
        AttemptRow.id,
        AttemptRow.fence,
        AttemptRow.round,
        AttemptRow.created_at,
        AttemptRow.lease_until,
    )
    .where(RAN_OUT)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)


def acquire(
    connection: Connection, attempt_id: str, lease_until: datetime, now: datetime
) -> Row[Any] | None:
    """Take the attempt by one conditional UPDATE, unless its customer has one in flight."""
    wanted = {"wanted": attempt_id, "now": now, "until": lease_until}
    return connection.execute(_ACQUIRE, wanted).one_or_none()


def release(connection: Connection, attempt_id: str, fence: int, **values: Any) -> bool:
    """Give a lease back; False when it was no longer this one."""
    held = {"held": attempt_id, "held_by": fence, "lease_until": None, **values}
    return connection.execute(_RELEASE, held).rowcount == 1


def is_held(connection: Connection, attempt_id: str, fence: int) -> bool:
    """Whether a lease still is this one, and stays so until the transaction ends."""
    held = {"held": attempt_id, "held_by": fence}
    return connection.execute(_HELD, held).first() is not None


def expired(connection: Connection, now: datetime, limit: int) -> list[Row[Any]]:
    """The attempts whose lease ran out: whoever held them is gone, or too late."""
    return list(connection.execute(_EXPIRED, {**times(now), "most": limit}))
