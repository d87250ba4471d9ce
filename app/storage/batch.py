"""How do several callers' steps share a transaction, and fail alone?"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine

from app.storage.errors import StorageUnavailable
from app.storage.failures import failure
from app.storage.jobs import BatchStep, Job

End = tuple[Job, "Sequence[Any] | Exception"]


class StepFailed(BaseException):
    """A step raised; its transaction is to be undone. No `Exception`: those are everybody's."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def run_batch(engine: Engine, jobs: Sequence[Job]) -> list[End]:
    """The quick way: no savepoints. Raises `StepFailed`, and what the transaction failed of."""
    with engine.begin() as connection:
        return [end for group in _by_step(jobs) for end in _run_group(connection, group)]


def run_each(engine: Engine, jobs: Sequence[Job]) -> list[End]:
    """One by one in one transaction, each behind a savepoint, to find who fails."""
    with engine.begin() as connection:
        return [_run_alone(connection, job) for job in jobs]


def _by_step(jobs: Iterable[Job]) -> list[list[Job]]:
    groups: dict[BatchStep, list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.step, []).append(job)
    return list(groups.values())


def _run_group(connection: Connection, group: list[Job]) -> list[End]:
    """Serve all of one step's callers at once."""
    items = group[0].items if len(group) == 1 else [item for job in group for item in job.items]
    try:
        results = group[0].step(connection, items)
    except Exception as error:
        raise StepFailed(error) from None
    return _dealt(group, results)


def _dealt(group: list[Job], results: Sequence[Any]) -> list[End]:
    ends: list[End] = []
    start = 0
    for job in group:
        stop = start + len(job.items)
        ends.append((job, results[start:stop]))
        start = stop
    return ends


def _run_alone(connection: Connection, job: Job) -> End:
    try:
        with connection.begin_nested():
            return job, job.step(connection, job.items)
    except Exception as error:
        _require_open(connection, error)
        return job, failure(error)


def _require_open(connection: Connection, error: Exception) -> None:
    """Fail everybody when a job's failure ended the transaction that all of them share.

    After a full disk or an I/O error SQLite may roll back by itself. What ran before is gone
    then, the next savepoint would be a transaction of its own, and a COMMIT says nothing of it.
    https://www.sqlite.org/lang_transaction.html#response_to_errors_within_a_transaction
    """
    if not connection.invalidated:
        sqlite: Any = connection.connection.driver_connection
        if sqlite.in_transaction:
            return
    raise StorageUnavailable("the database gave up the transaction") from error
