"""Marks attempts after a restored backup, so that nothing is paid twice."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, literal, null, select, update

from app.domain.answers import Outcome
from app.domain.attempts import SENDABLE
from app.domain.clock import iso_utc, least_id
from app.domain.rules import may_have_begun_by
from app.steps.audit import Change, record
from app.steps.submissions import past
from app.storage.tables import AttemptRow, EventRow, ForwardingRow, SubmissionRow

# Attempts made later than this after the restore are not marked. By default an event waits as long
# for its link, and no claim token lives longer.
_SUSPECTED_FOR = timedelta(days=30)
_EVERY_EVENT = ("event:", "digest:")
_MESSAGE = "the database was restored to an older moment: it may have been sent since"


def mark_possibly_sent(connection: Connection, since: datetime, by: str, now: datetime) -> int:
    """Mark every attempt that may be sent: it may have been sent since then. Return their number.

    Each gets an unanswered submission in an earlier round, so it uses up no retry. A worker then
    reads the customer's progress before it sends, as after any lost answer.
    `mark_new_possibly_sent` does the same for attempts that are made later.
    """
    count = _mark(connection, AttemptRow.state.in_(SENDABLE), since, now)
    the_one = ForwardingRow.id == 1
    found = select(ForwardingRow.restored_to).where(the_one)
    before = connection.execute(found).scalar_one_or_none()
    # The earliest moment of all restores counts: a later backup may contain the earlier restore.
    moment = since if before is None else min(before, since)
    connection.execute(
        update(ForwardingRow).where(the_one).values(restored_at=now, restored_to=moment)
    )
    told = iso_utc(since)
    record(connection, Change.DATABASE_RESTORED, by=by, now=now, to=told, attempts=count)
    return count


def mark_new_possibly_sent(
    connection: Connection, forwarding: Row[Any], attempt: Any, now: datetime
) -> None:
    """Mark an attempt made after a restore whose award may have been paid in the lost time.

    Call it before the attempt's first submission: the customer may act for the second time.
    """
    restored_at = forwarding.restored_at
    if restored_at is None or not restored_at < attempt.created_at <= now:
        return
    if now > restored_at + _SUSPECTED_FOR or past(connection, attempt.id, attempt.round):
        return
    if _may_be_known_from_before(connection, attempt, restored_at):
        _mark(connection, AttemptRow.id == attempt.id, forwarding.restored_to, restored_at)


def _may_be_known_from_before(connection: Connection, attempt: Any, moment: datetime) -> bool:
    """Whether the award of an attempt may have been earned before a moment."""
    if not attempt.occurrence.startswith(_EVERY_EVENT):
        return may_have_begun_by(attempt.occurrence, moment)
    if attempt.event_id is None:
        # A token made before the moment may have been used. Its id contains the time.
        return attempt.token_id is None or bool(attempt.token_id <= least_id(moment))
    happened = select(EventRow.occurred_at).where(EventRow.id == attempt.event_id)
    occurred_at = connection.execute(happened).scalar_one_or_none()
    return occurred_at is None or bool(occurred_at <= moment)


def _mark(
    connection: Connection, which: ColumnElement[bool], since: datetime, until: datetime
) -> int:
    """Insert an unanswered submission from ``since`` to ``until`` for each of these attempts."""
    values = {
        "attempt_id": AttemptRow.id,
        "fence": AttemptRow.fence,
        "round": AttemptRow.round - 1,
        "worker": literal("restore"),
        "started_at": literal(since, SubmissionRow.started_at.type),
        "ended_at": literal(until, SubmissionRow.ended_at.type),
        "outcome": literal(str(Outcome.UNKNOWN)),
        "resolved": literal(False),
        "message": literal(_MESSAGE),
        "status": null(),
        "code": null(),
    }
    statement = insert(SubmissionRow).from_select(
        list(values), select(*values.values()).where(which)
    )
    return len(connection.execute(statement.returning(SubmissionRow.id)).all())
