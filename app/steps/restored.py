"""The database is as it was at an older moment: what may have happened since?"""

from datetime import datetime

from sqlalchemy import Connection, insert, literal, null, select

from app.domain.answers import Outcome
from app.domain.attempts import State
from app.steps.audit import Change, record
from app.storage.tables import AttemptRow, SubmissionRow

# What could have been handed to Gameball since, for all that this database knows. Of an accepted
# one it knows already.
_DOUBTFUL = (State.UNLINKED, State.CHECKING, State.HELD, State.DUE, State.DEAD)
_MESSAGE = "the database was restored to an older moment: it may have been sent since"


def doubt(connection: Connection, since: datetime, by: str, now: datetime) -> int:
    """Note that every attempt still open may have been submitted since then; how many are.

    Each gets a submission without an answer, before its present round so that it spends no
    retry. A worker then looks at the customer's progress before it sends, as after any call
    whose answer was lost.
    """
    values = {
        "attempt_id": AttemptRow.id,
        "fence": AttemptRow.fence,
        "round": AttemptRow.round - 1,
        "worker": literal("restore"),
        "started_at": literal(since, SubmissionRow.started_at.type),
        "ended_at": literal(now, SubmissionRow.ended_at.type),
        "outcome": literal(str(Outcome.UNKNOWN)),
        "resolved": literal(False),
        "message": literal(_MESSAGE),
        "status": null(),
        "code": null(),
    }
    doubtful = select(*values.values()).where(AttemptRow.state.in_(_DOUBTFUL))
    statement = insert(SubmissionRow).from_select(list(values), doubtful)
    count = len(connection.execute(statement.returning(SubmissionRow.id)).all())
    told = since.isoformat()
    record(connection, Change.DATABASE_RESTORED, by=by, now=now, to=told, attempts=count)
    return count
