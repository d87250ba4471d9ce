"""What is kept of each call to Gameball, and what do the earlier ones of an attempt tell?"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, or_, select, update

from app.domain.answers import Answer, Outcome
from app.domain.retries import Past
from app.storage.tables import AttemptRow, SubmissionRow

_MAY_HAVE_LANDED = (Outcome.ACCEPTED, Outcome.PROGRAM_DISABLED, Outcome.UNKNOWN)


def begin(connection: Connection, attempt: Any, worker: str, now: datetime) -> int:
    """Write a call down before it is made; its id."""
    statement = (
        insert(SubmissionRow)
        .values(
            attempt_id=attempt.id,
            fence=attempt.fence,
            round=attempt.round,
            worker=worker,
            started_at=now,
            resolved=False,
        )
        .returning(SubmissionRow.id)
    )
    return connection.execute(statement).scalar_one()


def end(connection: Connection, submission_id: int, answer: Answer, now: datetime) -> None:
    connection.execute(
        update(SubmissionRow)
        .where(SubmissionRow.id == submission_id)
        .values(ended_at=now, **_recorded(answer))
    )


def end_unfinished(connection: Connection, attempt_id: str, answer: Answer, now: datetime) -> None:
    """End what a worker that is gone left without an end."""
    connection.execute(
        update(SubmissionRow)
        .where(SubmissionRow.attempt_id == attempt_id, SubmissionRow.ended_at.is_(None))
        .values(ended_at=now, **_recorded(answer))
    )


def never_landed(connection: Connection, attempt_id: str, before: int) -> None:
    """Note that the attempt's earlier submissions without an answer did not land."""
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
    """How the attempt's submissions ended, those ``before`` one of them, oldest first."""
    statement = (
        select(
            SubmissionRow.outcome,
            SubmissionRow.started_at,
            SubmissionRow.ended_at,
            SubmissionRow.resolved,
            SubmissionRow.round,
        )
        .where(SubmissionRow.attempt_id == attempt_id, SubmissionRow.outcome.is_not(None))
        .order_by(SubmissionRow.id)
    )
    if before is not None:
        statement = statement.where(SubmissionRow.id < before)
    return tuple(
        Past(
            Outcome(row.outcome),
            row.started_at,
            row.ended_at,
            row.resolved,
            row.round == this_round,
        )
        for row in connection.execute(statement)
    )


def echoes_until(
    connection: Connection, attempt: Any, window_seconds: float, now: datetime
) -> datetime | None:
    """When another attempt's submission of the same customer and challenge stops echoing.

    Inside Gameball's dedup window this one would be swallowed, and its 4000 could be taken for
    proof that it landed. The other may have reached Gameball as late as its end.
    """
    window = timedelta(seconds=window_seconds)
    reached_at = func.coalesce(SubmissionRow.ended_at, SubmissionRow.started_at)
    statement = (
        select(reached_at)
        .join(AttemptRow, AttemptRow.id == SubmissionRow.attempt_id)
        .where(
            AttemptRow.customer_id == attempt.customer_id,
            AttemptRow.challenge_id == attempt.challenge_id,
            AttemptRow.id != attempt.id,
            reached_at > now - window,
            or_(SubmissionRow.outcome.in_(_MAY_HAVE_LANDED), SubmissionRow.outcome.is_(None)),
        )
        .order_by(reached_at.desc())
        .limit(1)
    )
    latest = connection.execute(statement).scalar_one_or_none()
    return latest and latest + window


def _recorded(answer: Answer) -> dict[str, Any]:
    return {
        "outcome": answer.outcome,
        "status": answer.status,
        "code": answer.code,
        "message": answer.message,
        "request_id": answer.request_id,
    }
