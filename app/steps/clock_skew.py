"""What did a clock write that was ahead, and what must not be believed of it?"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    exists,
    false,
    func,
    insert,
    or_,
    select,
    update,
)

from app.domain.answers import TREATMENTS, Outcome
from app.domain.attempts import State
from app.domain.clock import latest
from app.storage.tables import AttemptRow, SubmissionRow, aliased
from app.storage.types import UtcDateTime

# No lease is as long. Clocks of machines that are at work may differ by some of it.
_LONGEST_LEASE_SECONDS = 600.0
# Longer than between such a submission and the moment in which the clock is right again.
_BEFORE = timedelta(days=1)
_MESSAGE = "it was made by a clock that was ahead: it is older than it says"

# In the statement's own words, and in no plan that PostgreSQL makes for any time: the index serves
# only who asks for few rows, and what lies ahead are few, or none.
_latest = bindparam("latest", type_=UtcDateTime(), literal_execute=True)
_UNSURE = tuple(outcome for outcome, one in TREATMENTS.items() if one.may_have_landed)
_earlier = aliased(SubmissionRow)
_AHEAD = select(SubmissionRow.attempt_id).where(
    # The index has this one; the other is what matters.
    SubmissionRow.ended_at > _latest,
    SubmissionRow.started_at > _latest,
    SubmissionRow.outcome.in_(_UNSURE),
    SubmissionRow.resolved.is_(False),
    ~exists().where(
        _earlier.attempt_id == SubmissionRow.attempt_id,
        _earlier.outcome.in_(_UNSURE),
        _earlier.resolved.is_(False),
        _earlier.started_at <= _latest,
    ),
)
# Whether anything at all lies ahead. Asked all day: it must be a glance, whatever the plan.
ANY_AHEAD = func.coalesce(
    select(func.max(SubmissionRow.ended_at)).scalar_subquery() > bindparam("latest"), false()
)
_TO_BE_DOUBTED = (
    select(AttemptRow.id, AttemptRow.fence, AttemptRow.round, AttemptRow.created_at)
    .where(
        AttemptRow.id.in_(_AHEAD),
        AttemptRow.state == State.DUE,
        AttemptRow.lease_until.is_(None),
    )
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)


def ran_out(until: Any) -> ColumnElement[bool]:
    """Whether a lease is over; or was taken by a clock that was ahead, and would last for hours.

    To be executed with `times`.
    """
    return or_(until < bindparam("now"), until > bindparam("longest"))


def times(now: datetime) -> dict[str, datetime]:
    """What the statements of this module are executed with."""
    return {
        "now": now,
        "latest": latest(now),
        "longest": latest(now, _LONGEST_LEASE_SECONDS),
    }


def mark_those_ahead(connection: Connection, now: datetime, limit: int) -> int:
    """Have looked for, and soon, what got no answer and says that it is still to be made.

    By its time a repeat would be in time for an echo, long after there is any: it would be paid
    twice.
    """
    if not connection.execute(select(ANY_AHEAD), times(now)).scalar_one():
        return 0
    found = connection.execute(_TO_BE_DOUBTED, {**times(now), "most": limit}).all()
    for attempt in found:
        mark_possibly_sent(connection, attempt, now)
        at_once = update(AttemptRow).where(AttemptRow.id == attempt.id)
        connection.execute(at_once.values(next_at=now))
    return len(found)


def mark_possibly_sent(connection: Connection, attempt: Any, now: datetime) -> None:
    """Note that something of the attempt may have landed at any time until now.

    Before its present round, so that it spends no retry.
    """
    row = {
        "attempt_id": attempt.id,
        "fence": attempt.fence,
        "round": attempt.round - 1,
        "worker": "sweep",
        "started_at": min(attempt.created_at, now) - _BEFORE,
        "ended_at": now,
        "outcome": Outcome.UNKNOWN,
        "resolved": False,
        "message": _MESSAGE,
    }
    connection.execute(insert(SubmissionRow).values(row))
