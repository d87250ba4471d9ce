"""Finds times that a wrong clock wrote in the future, so that nobody relies on them."""

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

# Longer than any lease. The clocks of the machines in service may differ by a part of it.
_LONGEST_LEASE_SECONDS = 600.0
# Longer than the time between such a submission and the correction of the clock.
_BEFORE = timedelta(days=1)
_MESSAGE = "it was made by a clock that was ahead: it is older than it says"

# The value is written into the statement, so PostgreSQL plans for this time. A generic plan would
# not use the index, which helps only for few rows; rows in the future are few or none.
_latest = bindparam("latest", type_=UtcDateTime(), literal_execute=True)
_UNSURE = tuple(outcome for outcome, one in TREATMENTS.items() if one.may_have_landed)
_earlier = aliased(SubmissionRow)
_AHEAD = select(SubmissionRow.attempt_id).where(
    # `ended_at` has the index; `started_at` decides.
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
# Whether anything lies in the future. It runs all day, so it must be fast in any plan.
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
    """Whether a lease has expired, or was taken by a wrong clock and would last for hours.

    Execute it with the parameters of `times`.
    """
    return or_(until < bindparam("now"), until > bindparam("longest"))


def times(now: datetime) -> dict[str, datetime]:
    """Return the parameters for the statements of this module."""
    return {
        "now": now,
        "latest": latest(now),
        "longest": latest(now, _LONGEST_LEASE_SECONDS),
    }


def mark_those_ahead(connection: Connection, now: datetime, limit: int) -> int:
    """Mark and schedule due attempts with unanswered submissions in the future; return the number.

    By its time, a repeat would still be inside Gameball's dedup window. In fact the window may
    be over, and the repeat would be paid twice.
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
    """Record that the attempt may have landed at any time until now.

    The record is in an earlier round, so it uses up no retry.
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
