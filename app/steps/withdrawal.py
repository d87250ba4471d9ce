"""Ends attempts without payment."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, exists, select

from app.domain.answers import TREATMENTS, Disposition
from app.domain.attempts import State
from app.steps.ledger import release
from app.steps.transitions import change_state
from app.storage.tables import SubmissionRow

_TELLING = [
    outcome
    for outcome, treatment in TREATMENTS.items()
    if treatment.may_have_landed or treatment.then is Disposition.ACCEPT
]


def withdraw(
    connection: Connection,
    attempt: Row[Any],
    *,
    reason: str,
    caused_by: str,
    now: datetime,
    **changes: Any,
) -> bool:
    """Withdraw an attempt that is not in flight; return whether its award is free again.

    The award stays in the ledger if a submission may have landed, so nothing is paid twice.
    """
    change_state(
        connection,
        attempt.id,
        State(attempt.state),
        State.WITHDRAWN,
        reason=reason,
        caused_by=caused_by,
        now=now,
        **changes,
    )
    return free_unless_paid(connection, attempt.id)


def free_unless_paid(connection: Connection, attempt_id: str) -> bool:
    """Free the award of an attempt that will not be sent again; return whether it is free."""
    is_free = not may_have_landed(connection, attempt_id)
    if is_free:
        release(connection, attempt_id)
    return is_free


def may_have_landed(connection: Connection, attempt_id: str) -> bool:
    """Whether a submission of the attempt may have earned the reward."""
    statement = select(
        exists().where(
            SubmissionRow.attempt_id == attempt_id,
            SubmissionRow.outcome.in_(_TELLING),
            SubmissionRow.resolved.is_(False),
        )
    )
    return bool(connection.execute(statement).scalar_one())
