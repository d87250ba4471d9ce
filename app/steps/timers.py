"""Changes the state of attempts whose timer (`next_at`) has expired."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, exists, func, or_, select

from app.domain.attempts import State
from app.steps import clock_skew, leases
from app.steps.awards import ALREADY_AWARDED
from app.steps.ledger import holds
from app.steps.transitions import StateChanged, change_state
from app.storage.tables import AttemptRow

# The new state and its reason by the old state. The forwarder handles `due` attempts.
ON_TIMER: Mapping[State, tuple[State, str]] = {
    State.HELD: (State.DUE, "the hold is over"),
    State.UNLINKED: (State.EXPIRED, "nobody linked the account in time"),
    State.CHECKING: (State.EXPIRED, "nothing proved the claim in time"),
}

# Built once: an idle worker runs them all day.
_ANYTHING = select(
    or_(
        exists().where(leases.RAN_OUT),
        exists().where(AttemptRow.state.in_(ON_TIMER), AttemptRow.next_at <= bindparam("now")),
        clock_skew.ANY_AHEAD,
    )
)
_READY = (
    select(AttemptRow.__table__)
    .where(AttemptRow.state == bindparam("state"), AttemptRow.next_at <= bindparam("now"))
    .order_by(AttemptRow.next_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_CLOCKS = select(
    *(
        select(AttemptRow.next_at)
        .where(AttemptRow.state == state, AttemptRow.next_at.is_not(None))
        .order_by(AttemptRow.next_at)
        .limit(1)
        .scalar_subquery()
        for state in (State.DUE, *ON_TIMER)
    ),
    select(func.min(AttemptRow.lease_until))
    .where(AttemptRow.lease_until.is_not(None))
    .scalar_subquery(),
)


def is_anything_to_sweep(connection: Connection, now: datetime) -> bool:
    """Whether a lease or a timer has expired. It only reads, so an idle service writes nothing."""
    return bool(connection.execute(_ANYTHING, clock_skew.times(now)).scalar_one())


def next_timer_at(connection: Connection) -> datetime | None:
    """When the next timer or lease of any attempt expires, or None.

    The result is in the past if a process is handling the attempt, or if it waits for another
    attempt of its customer.
    """
    row = connection.execute(_CLOCKS).one()
    return min((at for at in row if at is not None), default=None)


def fire(connection: Connection, now: datetime, limit: int) -> int:
    """Move attempts whose hold or wait is over, at most ``limit`` of each state.

    Returns the number of attempts. The limit is for each state because thousands of unlinked
    attempts may expire at once; customers who wait for a reward must not wait behind them.
    Locked attempts are skipped.
    """
    ready = [
        attempt
        for state in ON_TIMER
        for attempt in connection.execute(_READY, {"state": state, "now": now, "most": limit})
    ]
    for attempt in ready:
        _fire_one(connection, attempt, now)
    return len(ready)


def _fire_one(connection: Connection, attempt: Row[Any], now: datetime) -> None:
    from_state = State(attempt.state)
    to_state, reason = ON_TIMER[from_state]
    if from_state is State.CHECKING and holds(
        connection, attempt.challenge_id, attempt.customer_id, attempt.occurrence
    ):
        to_state, reason = State.DUPLICATE, ALREADY_AWARDED
    next_at = now if to_state is State.DUE else None
    try:
        change_state(
            connection,
            attempt.id,
            from_state,
            to_state,
            reason=reason,
            caused_by="clock",
            now=now,
            next_at=next_at,
        )
    except StateChanged:
        return  # another process was faster
