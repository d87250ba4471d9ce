"""Run the steps of several callers in one transaction, so that each can fail alone."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine

from app.storage.errors import StorageUnavailable
from app.storage.failures import failure
from app.storage.jobs import BatchStep, Job

End = tuple[Job, "Sequence[Any] | Exception"]


class StepFailed(BaseException):
    """A step raised, and its transaction is rolled back.

    Not an `Exception`: those are taken for failures of the whole transaction.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def run_batch(engine: Engine, jobs: Sequence[Job]) -> list[End]:
    """Run all jobs without savepoints, which is fast.

    Raises `StepFailed` when a step raises, and the error of the transaction otherwise.
    """
    with engine.begin() as connection:
        return [end for group in _by_step(jobs) for end in _run_group(connection, group)]


def run_each(engine: Engine, jobs: Sequence[Job]) -> list[End]:
    """Run the jobs in one transaction, each behind a savepoint, to find those that fail."""
    with engine.begin() as connection:
        return [_run_alone(connection, job) for job in jobs]


def _by_step(jobs: Iterable[Job]) -> list[list[Job]]:
    groups: dict[BatchStep, list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.step, []).append(job)
    return list(groups.values())


def _run_group(connection: Connection, group: list[Job]) -> list[End]:
    """Run one step once for all of its callers."""
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
    """Raise an error for all jobs when the failure of one ended their common transaction.

    After a full disk or an I/O error SQLite may roll back by itself. Then the work of earlier jobs
    is lost, the next savepoint starts a transaction of its own, and COMMIT reports nothing.
    https://www.sqlite.org/lang_transaction.html#response_to_errors_within_a_transaction
    """
    if not connection.invalidated:
        sqlite: Any = connection.connection.driver_connection
        if sqlite.in_transaction:
            return
    raise StorageUnavailable("the database rolled back the transaction") from error
