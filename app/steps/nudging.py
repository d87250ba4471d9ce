"""What becomes due for a look because Gameball told us something by itself?"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from sqlalchemy import Connection, Row, bindparam, select, update

from app.domain.attempts import State
from app.domain.nudges import Nudge
from app.storage.listening import LOOK, notify
from app.storage.tables import AttemptRow

# A storm of nudges about one customer makes no more than one look in this time.
QUIET_SECONDS = 3.0

# Nobody waits for a row: one that is being written is about to be looked at, or was this moment.
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
# What is set are the parameters that are named like columns.
_NUDGE = update(AttemptRow).where(AttemptRow.id == bindparam("this"))


@dataclass(frozen=True, slots=True)
class Clocks:
    """What a nudge may change of an attempt; the columns of these names."""

    next_at: datetime | None
    nudged_at: datetime | None
    told_at: datetime | None

    def nudged(self, heard_at: datetime) -> Self:
        """Looked at now, or at the end of the quiet that follows the last nudge's look."""
        quiet = timedelta(seconds=QUIET_SECONDS)
        look_at = heard_at if self.nudged_at is None else max(heard_at, self.nudged_at + quiet)
        if self.next_at is None or self.next_at > look_at:
            return replace(self, next_at=look_at, nudged_at=look_at)
        # A look is due by then anyway: this nudge is one with what made it due.
        return replace(self, nudged_at=heard_at) if look_at == heard_at else self


def hear(connection: Connection, nudges: Sequence[Nudge]) -> Sequence[bool]:
    """Let what Gameball tells of be looked at now; of each nudge, whether anything waits for it.

    Told again, it is looked at again, but no more often than once in `QUIET_SECONDS`.
    """
    waiting = _waiting(connection, nudges)
    before = {one.id: Clocks(one.next_at, one.nudged_at, one.told_at) for one in waiting}
    clocks = dict(before)
    heard = []
    for nudge in nudges:
        meant = [one for one in waiting if _is_about(nudge, one)]
        for one in meant:
            # The clock of a due one is the forwarder's.
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
    """What was or may have been submitted for these customers, and has not come to its end."""
    customers = sorted({nudge.customer_id for nudge in nudges})
    found: list[Row[Any]] = list(connection.execute(_WAITING, {"customers": customers}))
    # A due one with a fence is, or was, in a worker's hands.
    return [one for one in found if one.state == State.ACCEPTED or one.fence > 0]


def _is_about(nudge: Nudge, attempt: Row[Any]) -> bool:
    is_theirs = bool(attempt.customer_id == nudge.customer_id)
    return is_theirs and nudge.challenge_id in (None, attempt.challenge_id)
