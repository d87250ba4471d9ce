"""How do many requests share one commit?"""

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from app.storage.errors import StorageUnavailable

Many = Callable[[Connection, Sequence[Any]], Sequence[Any]]

MAX_WAITING = 1_000
MAX_BATCH = 200


@dataclass(slots=True)
class Job:
    """One caller's items for a step that can serve several callers in one go."""

    step: Many
    items: Sequence[Any]
    future: Future[Sequence[Any]] = field(default_factory=Future)


class GroupWriter:
    """The one thread that writes to an embedded database.

    It takes all waiting jobs into one transaction and answers them only after its commit, so
    that they share one sync of the disk. A job that fails, fails alone.
    """

    def __init__(self, engine: Engine, patience_seconds: float) -> None:
        self._engine = engine
        self._patience_seconds = patience_seconds
        self._jobs: queue.Queue[Job | None] = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def write(self, step: Many, items: Sequence[Any]) -> Sequence[Any]:
        """Run ``step`` over ``items`` and return its results once they are on disk."""
        job = Job(step, items)
        try:
            self._jobs.put_nowait(job)
            return job.future.result(self._patience_seconds)
        except queue.Full:
            raise StorageUnavailable("too many writes are waiting") from None
        except TimeoutError:
            job.future.cancel()
            raise StorageUnavailable("the database is too slow") from None

    def close(self) -> None:
        """Finish what is waiting, then stop."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._jobs.get()) is not None:
            jobs, last = self._waiting(first)
            self._commit([job for job in jobs if job.future.set_running_or_notify_cancel()])
            if last:
                return

    def _waiting(self, first: Job) -> tuple[list[Job], bool]:
        jobs = [first]
        while len(jobs) < MAX_BATCH:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return jobs, True
            jobs.append(job)
        return jobs, False

    def _commit(self, jobs: list[Job]) -> None:
        """One transaction for all; its failure is everybody's, a step's failure is its own."""
        try:
            with self._engine.begin() as connection:
                ends = [end for group in _by_step(jobs) for end in _run_group(connection, group)]
        except Exception as error:
            ends = [(job, unavailable(error)) for job in jobs]
        for job, end in ends:
            if isinstance(end, BaseException):
                job.future.set_exception(end)
            else:
                job.future.set_result(end)


End = tuple[Job, "Sequence[Any] | BaseException"]


def _by_step(jobs: Iterable[Job]) -> list[list[Job]]:
    groups: dict[Many, list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.step, []).append(job)
    return list(groups.values())


def _run_group(connection: Connection, group: list[Job]) -> list[End]:
    """Serve all of one step's callers at once; if that fails, one by one to find who fails."""
    if len(group) > 1:
        try:
            with connection.begin_nested():
                results = group[0].step(connection, [item for job in group for item in job.items])
            return _dealt(group, results)
        except Exception as error:
            _require_open(connection, error)
    return [_run_alone(connection, job) for job in group]


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
        return job, unavailable(error)


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


def unavailable(error: Exception) -> Exception:
    """The database's own failures are one exception to our callers; ours stay what they are."""
    if isinstance(error, SQLAlchemyError):
        wrapped = StorageUnavailable(f"{type(error).__name__}: {_first_line(error)}")
        wrapped.__cause__ = error
        return wrapped
    return error


def _first_line(error: SQLAlchemyError) -> str:
    """The driver's words. SQLAlchemy's own text would add the statement and its values."""
    return str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0][:200]
