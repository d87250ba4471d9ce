"""Whose time has come?"""

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

# What happens to an attempt when its own clock strikes. A due one is the forwarder's.
ON_TIMER: Mapping[State, tuple[State, str]] = {
    State.HELD: (State.DUE, "the hold is over"),
    State.UNLINKED: (State.EXPIRED, "nobody linked the account in time"),
    State.CHECKING: (State.EXPIRED, "nothing proved the claim in time"),
}

# Made once: an idle worker asks them all day, and saying them takes longer than the answer.
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
    """Whether a lease or a clock ran out: a read, so that an idle service writes nothing."""
    return bool(connection.execute(_ANYTHING, clock_skew.times(now)).scalar_one())


def next_timer_at(connection: Connection) -> datetime | None:
    """When the next clock strikes or lease runs out, of all attempts; None: never.

    In the past: somebody is at it, or an attempt waits for another one of its customer.
    """
    row = connection.execute(_CLOCKS).one()
    return min((at for at in row if at is not None), default=None)


def fire(connection: Connection, now: datetime, limit: int) -> int:
    """Move the attempts whose hold or wait is over, at most so many of each state; how many.

    Of each by itself: a month after a campaign its unlinked ones expire by the thousand, and who
    waits for his reward must not wait behind them. What others are at is theirs.
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
        return  # somebody was faster; the row's state is the truth
