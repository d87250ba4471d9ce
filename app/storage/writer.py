"""How do many requests share one commit?"""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from app.storage.errors import StorageUnavailable

Many = Callable[[Connection, Sequence[Any]], Sequence[Any]]

MAX_WAITING = 1_000
MAX_BATCH = 200


@dataclass(slots=True, eq=False)
class Job:
    """One caller's items for a step that can serve several callers in one go.

    Two bare locks instead of a `Future`: a callback waits here for its commit, and a future's
    condition costs more than the rest of the hand-over.
    """

    step: Many
    items: Sequence[Any]
    end: "Sequence[Any] | Exception | None" = None
    _ended: threading.Lock = field(default_factory=threading.Lock)
    _taken: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._ended.acquire()

    def take(self) -> bool:
        """Decide once whether it is run or given up; whether this caller decided."""
        return self._taken.acquire(blocking=False)

    def finish(self, end: "Sequence[Any] | Exception") -> None:
        self.end = end
        self._ended.release()

    def wait(self, seconds: float) -> bool:
        return self._ended.acquire(timeout=seconds)


class GroupWriter:
    """The one thread that writes to an embedded database.

    It takes all waiting jobs into one transaction and answers them only after its commit, so
    that they share one sync of the disk. A job that fails, fails alone.
    """

    def __init__(self, engine: Engine, patience_seconds: float) -> None:
        self._engine = engine
        self._patience_seconds = patience_seconds
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def write(self, step: Many, items: Sequence[Any]) -> Sequence[Any]:
        """Run ``step`` over ``items`` and return its results once they are on disk."""
        if self._jobs.qsize() >= MAX_WAITING:
            raise StorageUnavailable("too many writes are waiting")
        job = Job(step, items)
        self._jobs.put(job)
        if not job.wait(self._patience_seconds):
            # Given up before it began, it is never run; else its end is near, but not ours to tell.
            job.take()
            raise StorageUnavailable("the database is too slow")
        if isinstance(job.end, Exception):
            raise job.end
        assert job.end is not None  # noqa: S101 -- it has ended
        return job.end

    def close(self) -> None:
        """Finish what is waiting, then stop."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._jobs.get()) is not None:
            jobs, last = self._waiting(first)
            taken = [job for job in jobs if job.take()]
            if taken:
                self._commit(taken)
            if last:
                return

    def _waiting(self, first: Job) -> tuple[list[Job], bool]:
        jobs = [first]
        while len(jobs) < MAX_BATCH:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                break
            if job is None:
                return jobs, True
            jobs.append(job)
        return jobs, False

    def _commit(self, jobs: list[Job]) -> None:
        """One transaction for all; its failure is everybody's, a step's failure is its own."""
        try:
            ends = self._together(jobs)
        except _StepFailed as failed:
            ends = [(jobs[0], unavailable(failed.error))] if len(jobs) == 1 else self._apart(jobs)
        for job, end in ends:
            job.finish(end)

    def _together(self, jobs: list[Job]) -> "list[End]":
        """The quick way: no savepoints. Raises `_StepFailed`, with nothing written."""
        try:
            with self._engine.begin() as connection:
                return [end for group in _by_step(jobs) for end in _run_group(connection, group)]
        except Exception as error:
            return [(job, unavailable(error)) for job in jobs]

    def _apart(self, jobs: list[Job]) -> "list[End]":
        """One by one in one transaction, each behind a savepoint, to find who fails."""
        try:
            with self._engine.begin() as connection:
                return [_run_alone(connection, job) for job in jobs]
        except Exception as error:
            return [(job, unavailable(error)) for job in jobs]


End = tuple[Job, "Sequence[Any] | Exception"]


class _StepFailed(BaseException):
    """A step raised; its transaction is to be undone. No `Exception`: those are everybody's."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def _by_step(jobs: Iterable[Job]) -> list[list[Job]]:
    groups: dict[Many, list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.step, []).append(job)
    return list(groups.values())


def _run_group(connection: Connection, group: list[Job]) -> list[End]:
    """Serve all of one step's callers at once."""
    items = group[0].items if len(group) == 1 else [item for job in group for item in job.items]
    try:
        results = group[0].step(connection, items)
    except Exception as error:
        raise _StepFailed(error) from None
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
