"""Leases of attempts: one worker for an attempt, and one attempt of a customer at a time."""
# Nobody waits for a row that another transaction has locked: the wait may be long, and other
# attempts would wait too.

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, exists, select, update

from app.domain.attempts import State
from app.steps.clock_skew import ran_out, times
from app.storage.tables import AttemptRow, aliased

_OTHER = aliased(AttemptRow)
# Whether any attempt of the customer is leased, this one included.
HAS_ONE_IN_FLIGHT = exists().where(
    _OTHER.customer_id == AttemptRow.customer_id, _OTHER.lease_until.is_not(None)
)

# Built once: SQLAlchemy takes longer to prepare a statement than the database to run it.
# Parameters with the names of columns are the values to set.
_WANTED = select(AttemptRow.id).where(AttemptRow.id == bindparam("wanted"))
_ACQUIRE = (
    update(AttemptRow)
    .where(
        AttemptRow.id == _WANTED.with_for_update(skip_locked=True).scalar_subquery(),
        AttemptRow.state == State.DUE,
        AttemptRow.next_at <= bindparam("now"),
        # An erasure of the customer waits only for attempts in flight, so no new ones start.
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
# Whether a lease has expired. Execute it with `times`.
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
    """Lease the attempt by one conditional UPDATE, and return its row.

    None: it is not due, locked, or its customer has an attempt in flight.
    """
    wanted = {"wanted": attempt_id, "now": now, "until": lease_until}
    return connection.execute(_ACQUIRE, wanted).one_or_none()


def release(connection: Connection, attempt_id: str, fence: int, **values: Any) -> bool:
    """Give a lease back. False: this fence no longer has it."""
    held = {"held": attempt_id, "held_by": fence, "lease_until": None, **values}
    return connection.execute(_RELEASE, held).rowcount == 1


def is_held(connection: Connection, attempt_id: str, fence: int) -> bool:
    """Whether this fence still has the lease. The row stays locked until the transaction ends."""
    held = {"held": attempt_id, "held_by": fence}
    return connection.execute(_HELD, held).first() is not None


def expired(connection: Connection, now: datetime, limit: int) -> list[Row[Any]]:
    """Return and lock attempts with an expired lease: their workers are gone or too late."""
    return list(connection.execute(_EXPIRED, {**times(now), "most": limit}))
