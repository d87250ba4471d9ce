"""Stores each call to Gameball and reads the earlier ones of an attempt."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, exists, func, insert, or_, select, update

from app.domain.answers import Answer, Outcome
from app.domain.retries import Past
from app.storage.tables import AttemptRow, SubmissionRow

_MAY_HAVE_LANDED = (Outcome.ACCEPTED, Outcome.PROGRAM_DISABLED, Outcome.UNKNOWN)

# Built once: SQLAlchemy takes longer to prepare a statement than the database to run it.
# Parameters with the names of columns are the values to write.
_BEGIN = insert(SubmissionRow).returning(SubmissionRow.id)
_END = update(SubmissionRow).where(SubmissionRow.id == bindparam("this"))
_END_UNFINISHED = update(SubmissionRow).where(
    SubmissionRow.attempt_id == bindparam("of"), SubmissionRow.ended_at.is_(None)
)
_PAST = (
    select(
        SubmissionRow.outcome,
        SubmissionRow.started_at,
        SubmissionRow.ended_at,
        SubmissionRow.resolved,
        SubmissionRow.round,
    )
    .where(SubmissionRow.attempt_id == bindparam("of"), SubmissionRow.outcome.is_not(None))
    .order_by(SubmissionRow.id)
)
_PAST_BEFORE = _PAST.where(SubmissionRow.id < bindparam("before"))
_reached_at = func.coalesce(SubmissionRow.ended_at, SubmissionRow.started_at)
_LATEST_OF_OTHERS = (
    select(_reached_at)
    .join(AttemptRow, AttemptRow.id == SubmissionRow.attempt_id)
    .where(
        AttemptRow.customer_id == bindparam("customer"),
        AttemptRow.challenge_id == bindparam("challenge"),
        AttemptRow.id != bindparam("this"),
        _reached_at > bindparam("since"),
        or_(SubmissionRow.outcome.in_(_MAY_HAVE_LANDED), SubmissionRow.outcome.is_(None)),
    )
    .order_by(_reached_at.desc())
    .limit(1)
)


def begin(connection: Connection, attempt: Any, worker: str, now: datetime) -> int:
    """Store a call before it is made; return its id."""
    row = {
        "attempt_id": attempt.id,
        "fence": attempt.fence,
        "round": attempt.round,
        "worker": worker,
        "started_at": now,
        "resolved": False,
    }
    number: int = connection.execute(_BEGIN, row).scalar_one()
    return number


def end(connection: Connection, submission_id: int, answer: Answer, now: datetime) -> None:
    """Record how a submission ended."""
    connection.execute(_END, {"this": submission_id, **_recorded(answer, now)})


def end_unfinished(connection: Connection, attempt_id: str, answer: Answer, now: datetime) -> None:
    """End the submissions of an attempt that a lost worker left without an end."""
    connection.execute(_END_UNFINISHED, {"of": attempt_id, **_recorded(answer, now)})


def forget_if_erased(connection: Connection, submission_id: int) -> None:
    """Remove Gameball's texts about a call if the customer was erased during the call."""
    is_erased = exists().where(
        AttemptRow.id == SubmissionRow.attempt_id, AttemptRow.erased_at.is_not(None)
    )
    words = update(SubmissionRow).where(SubmissionRow.id == submission_id, is_erased)
    connection.execute(words.values(message=None, request_id=None))


def never_landed(connection: Connection, attempt_id: str, before: int) -> None:
    """Mark the earlier submissions of the attempt as not landed."""
    connection.execute(
        update(SubmissionRow)
        .where(
            SubmissionRow.attempt_id == attempt_id,
            SubmissionRow.id < before,
            SubmissionRow.outcome.in_(_MAY_HAVE_LANDED),
        )
        .values(resolved=True)
    )


def past(
    connection: Connection, attempt_id: str, this_round: int, before: int | None = None
) -> tuple[Past, ...]:
    """Return the attempt's ended submissions, oldest first. ``before``: only smaller ids."""
    statement = _PAST if before is None else _PAST_BEFORE
    rows = connection.execute(statement, {"of": attempt_id, "before": before})
    return tuple(
        Past(
            outcome=Outcome(row.outcome),
            started_at=row.started_at,
            ended_at=row.ended_at,
            resolved=row.resolved,
            spent=row.round == this_round,
        )
        for row in rows
    )


def echoes_until(
    connection: Connection, attempt: Any, window_seconds: float, now: datetime
) -> datetime | None:
    """When other submissions of the same customer and challenge stop causing echoes, or None.

    Inside Gameball's dedup window this submission would be swallowed, and its 4000 could be
    mistaken for proof that it landed. The other one may have arrived as late as its end.
    """
    window = timedelta(seconds=window_seconds)
    others = {
        "customer": attempt.customer_id,
        "challenge": attempt.challenge_id,
        "this": attempt.id,
        "since": now - window,
    }
    latest = connection.execute(_LATEST_OF_OTHERS, others).scalar_one_or_none()
    return latest and latest + window


def _recorded(answer: Answer, now: datetime) -> dict[str, Any]:
    return {
        "ended_at": now,
        "outcome": answer.outcome,
        "status": answer.status,
        "code": answer.code,
        "message": answer.message,
        "request_id": answer.request_id,
    }
