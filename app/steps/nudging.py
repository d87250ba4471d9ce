"""Schedules looks at attempts when Gameball's webhook reports something."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from sqlalchemy import Connection, Row, bindparam, select, update

from app.domain.attempts import State
from app.domain.nudges import Nudge
from app.storage.listening import LOOK, notify
from app.storage.tables import AttemptRow

# Seconds between two looks at an attempt because of nudges, however many arrive.
QUIET_SECONDS = 3.0

# Skip locked rows: the process that writes one is about to look at it, or has just done so.
_WAITING = (
    select(
        AttemptRow.id,
        AttemptRow.customer_id,
        AttemptRow.challenge_id,
        AttemptRow.state,
        AttemptRow.fence,
        AttemptRow.next_at,
        AttemptRow.nudged_at,
        AttemptRow.told_at,
    )
    .where(
        AttemptRow.customer_id.in_(bindparam("customers", expanding=True)),
        AttemptRow.state.in_((State.ACCEPTED, State.DUE)),
    )
    .order_by(AttemptRow.id)
    .with_for_update(skip_locked=True)
)
# Parameters with the names of columns are the values to set.
_NUDGE = update(AttemptRow).where(AttemptRow.id == bindparam("this"))


@dataclass(frozen=True, slots=True)
class Clocks:
    """The columns of an attempt that a nudge may change."""

    next_at: datetime | None
    nudged_at: datetime | None
    told_at: datetime | None

    def nudged(self, heard_at: datetime) -> Self:
        """Schedule a look now, or when the quiet time after the last nudge's look is over."""
        quiet = timedelta(seconds=QUIET_SECONDS)
        look_at = heard_at if self.nudged_at is None else max(heard_at, self.nudged_at + quiet)
        if self.next_at is None or self.next_at > look_at:
            return replace(self, next_at=look_at, nudged_at=look_at)
        # A look is already due by then, so it covers this nudge.
        return replace(self, nudged_at=heard_at) if look_at == heard_at else self


def hear(connection: Connection, nudges: Sequence[Nudge]) -> Sequence[bool]:
    """Schedule looks for these nudges; return for each nudge whether an attempt waits for it.

    A repeated nudge schedules another look, but at most one in `QUIET_SECONDS`.
    """
    waiting = _waiting(connection, nudges)
    before = {one.id: Clocks(one.next_at, one.nudged_at, one.told_at) for one in waiting}
    clocks = dict(before)
    heard = []
    for nudge in nudges:
        meant = [one for one in waiting if _is_about(nudge, one)]
        for one in meant:
            # The forwarder owns `next_at` of a due attempt.
            if one.state == State.ACCEPTED:
                clocks[one.id] = clocks[one.id].nudged(nudge.heard_at)
        if nudge.is_proof and nudge.challenge_id is not None and len(meant) == 1:
            only = meant[0].id
            clocks[only] = replace(clocks[only], told_at=nudge.heard_at)
        heard.append(bool(meant))
    changed = {this: after for this, after in clocks.items() if after != before[this]}
    if changed:
        rows = [{"this": this, **asdict(after)} for this, after in changed.items()]
        connection.execute(_NUDGE, rows)
        notify(connection, LOOK)
    return heard


def _waiting(connection: Connection, nudges: Iterable[Nudge]) -> list[Row[Any]]:
    """Attempts of these customers that were or may have been submitted, without a result yet."""
    customers = sorted({nudge.customer_id for nudge in nudges})
    found: list[Row[Any]] = list(connection.execute(_WAITING, {"customers": customers}))
    # A due attempt with a fence is or was leased by a worker.
    return [one for one in found if one.state == State.ACCEPTED or one.fence > 0]


def _is_about(nudge: Nudge, attempt: Row[Any]) -> bool:
    is_theirs = bool(attempt.customer_id == nudge.customer_id)
    return is_theirs and nudge.challenge_id in (None, attempt.challenge_id)
