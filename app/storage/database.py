"""Database: read and write transactions for steps, on SQLite and PostgreSQL."""

import math
import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from app.domain.clock import utc_now
from app.storage.batch import StepFailed, run_batch
from app.storage.coalesce import parking
from app.storage.engines import is_sqlite, read_engine, sqlite_path, write_engine
from app.storage.errors import Conflict, StatementFailed, StorageUnavailable
from app.storage.failures import failure
from app.storage.hashes import hashes_if_any, make_hash_key
from app.storage.jobs import MOST_ITEMS, BatchStep, Job, chunks
from app.storage.postgres import has_notices
from app.storage.sqlite_files import SqliteFiles
from app.storage.timeouts import (
    CircuitBreaker,
    bound_waits,
    drop_closed,
    is_read_only,
    is_silence,
)
from app.storage.tiny import write_tiny_postgres, write_tiny_sqlite
from app.storage.vault import Vault
from app.storage.writability import Writability
from app.storage.writer import GroupWriter

T = TypeVar("T")

# Deadlocks and serialisation failures; one of the transactions has to be run again.
_TRY_AGAIN = frozenset({"40001", "40P01"})
_TRIES = 5
# A lock was held for longer than we wait, for example by a machine frozen in mid-transaction.
_LOCK_NOT_AVAILABLE = "55P03"
_WAIT_FOR_NO_LOCK = text("SET LOCAL lock_timeout = '50ms'")
# The time to run each job of such a transaction alone. Platforms give up after ten seconds, and
# that transaction has used five.
_HURRIED_SECONDS = 2.0


class Database:
    """Transactions over one database. A step is a function of a connection, run as a whole.

    On SQLite all writes of this process go through one `GroupWriter`; on PostgreSQL each has its
    own transaction. Connections are opened at first use, so an instance may be made before a fork.
    """

    def __init__(
        self,
        url: str,
        *,
        secret_keys: Sequence[str] = (),
        pool_size: int = 16,
        patience_seconds: float = 8,
    ) -> None:
        self.url = url
        self.vault = Vault(secret_keys)
        self.is_embedded = is_sqlite(url)
        self.has_notices = not self.is_embedded and has_notices(url)
        self._pool_size = pool_size
        self._patience_seconds = patience_seconds
        self._lock = Lock()
        self._making_hash_key = Lock()
        self._writes: Engine | None = None
        self._reads: Engine | None = None
        self._writer: GroupWriter | None = None
        self._files: SqliteFiles | None = None
        self._writability = Writability(self._write_tiny)
        self._silence = CircuitBreaker(is_silence)
        self._refusals = CircuitBreaker(is_read_only)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection for reading, which never waits for a writer."""
        self._open()
        assert self._reads is not None  # noqa: S101 -- opened above
        try:
            with self._reads.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            self._silence.note(error)
            raise failure(error) from None

    @contextmanager
    def read_at_one_moment(self) -> Iterator[Connection]:
        """Like `read`, but every statement sees the same snapshot, as always on SQLite."""
        with self.read() as connection:
            if not self.is_embedded:
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            yield connection

    def write(self, step: Callable[[Connection], T]) -> T:
        """Run ``step`` in one transaction and return its result once its writes are on disk.

        Raises `StorageUnavailable` when they are not, `StatementFailed` when a statement was wrong,
        and any exception of the step after a rollback.
        """

        def run(connection: Connection, _items: Sequence[None]) -> Sequence[T]:
            return [step(connection)]

        result: T = self.write_each(run, [None])[0]
        return result

    def write_each(
        self, step: BatchStep, items: Sequence[Any], patience_seconds: float = math.inf
    ) -> Sequence[Any]:
        """Like `write`, for a step that takes a list and may get the items of other callers too.

        The call waits in a queue for at most ``patience_seconds``. More than `MOST_ITEMS` items
        take several transactions: when it raises, the earlier ones may be committed.
        """
        if len(items) > MOST_ITEMS:
            starts = range(0, len(items), MOST_ITEMS)
            parts = (items[start : start + MOST_ITEMS] for start in starts)
            return [
                result for part in parts for result in self.write_each(step, part, patience_seconds)
            ]
        self._open()
        if self._refusals.is_open:
            raise _refused()
        self._read_hash_key()
        job = Job(step=step, items=items, patience_seconds=patience_seconds)
        park = parking()
        if park is None:
            self._write_all([job])
        else:
            park(job, self._write_all)
        return job.result()

    def forget_traces(self) -> None:
        """Overwrite deleted rows in the files of an embedded database, unless somebody is reading.

        The write-ahead log keeps the old pages until it is restarted.
        """
        self._open()
        if not self.is_embedded or self._reads is None:
            return
        try:
            raw = self._reads.raw_connection()
            try:
                raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
            finally:
                raw.close()
        except SQLAlchemyError as error:
            raise failure(error) from None

    def write_problem(self) -> str | None:
        """Return why nothing can be written at the moment, or None. Answers within a second."""
        return self._writability.problem()

    def shrink_log(self) -> None:
        """Shrink an embedded database's write-ahead log after a long read."""
        self._open()
        if self._files is None or self._reads is None:
            return
        try:
            self._files.shrink(self._reads)
        except SQLAlchemyError as error:
            raise failure(error) from None
        except sqlite3.Error as error:
            raise StorageUnavailable(str(error)) from error

    def close(self) -> None:
        self._writability.rest()
        with self._lock:
            if self._writer is not None:
                self._writer.close()
            for engine in {self._writes, self._reads} - {None}:
                assert engine is not None  # noqa: S101 -- for the type checker
                engine.dispose()
            self._writer = self._writes = self._reads = None

    def _open(self) -> None:
        if self._silence.is_open:
            raise StorageUnavailable("the server did not answer a moment ago")
        with self._lock:
            if self._writes is not None:
                return
            writes = write_engine(self.url, self._pool_size, self.vault)
            self._reads = writes
            if self.is_embedded:
                self._files = SqliteFiles(sqlite_path(self.url))
                self._reads = read_engine(self.url, self._pool_size, self.vault)
                self._files.watch(writes)
                self._files.watch(self._reads)
                self._files.relieve(writes)
                require_kept = self._files.require_in_place
                self._writer = GroupWriter(writes, self._patience_seconds, require_kept)
            else:
                bound_waits(writes, self._patience_seconds)
                drop_closed(writes)
            self._writes = writes

    def _read_hash_key(self) -> None:
        """Read the hash key before the first write: no hash may use a key that is not committed."""
        if self.vault.hashes is not None or not self.vault.has_keys:
            return
        with self._making_hash_key:
            # Only one thread makes the key. The others wait for it, because a wait for SQLite's
            # busy writer may time out.
            try:
                self._make_hash_key()
            except SQLAlchemyError as error:
                raise failure(error) from None

    def _make_hash_key(self) -> None:
        assert self._writes is not None  # noqa: S101 -- opened by the caller
        assert self._reads is not None  # noqa: S101 -- likewise
        with self._reads.begin() as connection:
            if hashes_if_any(connection) is not None:
                return
        with self._writes.begin() as connection:
            make_hash_key(connection, utc_now())
        with self._reads.begin() as connection:
            hashes_if_any(connection)

    def _write_all(self, jobs: Sequence[Job]) -> None:
        """End all jobs. The writes of those that succeed are on disk."""
        if self._writer is not None:
            self._writer.write(jobs)
        else:
            self._write_chunks(jobs)
        if any(isinstance(job.end, StorageUnavailable | StatementFailed) for job in jobs):
            self._writability.failed()
        else:
            self._writability.succeeded()

    def _write_chunks(self, jobs: Sequence[Job]) -> None:
        for chunk in chunks(jobs):
            if len(chunk) == 1:
                chunk[0].finish(self._alone(chunk[0]))
                continue
            failed = self._together(chunk)
            if failed is not None:
                self._one_by_one(chunk, is_hurried=_is_held_up(failed))

    def _write_tiny(self) -> None:
        """Check whether a callback could be stored, without changing anything."""
        self._open()
        try:
            if self._files is not None:
                assert self._reads is not None  # noqa: S101 -- opened above
                # The writer's own connection would have to wait behind the writer.
                write_tiny_sqlite(self._reads)
                self._files.require_in_place()
            else:
                self._write_tiny_to_server()
        except SQLAlchemyError as error:
            raise failure(error) from None

    def _write_tiny_to_server(self) -> None:
        assert self._writes is not None  # noqa: S101 -- opened by the caller
        for last_try in [False] * (_TRIES - 1) + [True]:
            try:
                write_tiny_postgres(self._writes)
            except DBAPIError as error:
                if last_try or not is_read_only(error):
                    raise
            else:
                self._refusals.end()
                return

    def _together(self, jobs: Sequence[Job]) -> Exception | None:
        """Run all jobs in one transaction. Return the error when each job has to be run alone."""
        assert self._writes is not None  # noqa: S101 -- opened by the caller
        try:
            ends = run_batch(self._writes, jobs)
        except StepFailed as failed:
            if not _is_gone(failed.error):
                return failed.error
            self._silence.note(failed.error)
            ends = [(job, failure(failed.error)) for job in jobs]
        except Exception as error:
            self._silence.note(error)
            ends = [(job, failure(error)) for job in jobs]
        for job, end in ends:
            job.finish(end)
        return None

    def _one_by_one(self, jobs: Sequence[Job], *, is_hurried: bool) -> None:
        """Run each job alone. ``is_hurried``: they have already waited long for a lock."""
        give_up = time.monotonic() + _HURRIED_SECONDS
        for job in jobs:
            if self._refusals.is_open:
                job.finish(_refused())
            elif is_hurried and time.monotonic() > give_up:
                job.finish(
                    StorageUnavailable("other transactions held too many locks for too long")
                )
            else:
                job.finish(self._alone(job, is_hurried=is_hurried))

    def _alone(self, job: Job, *, is_hurried: bool = False) -> Sequence[Any] | Exception:
        try:
            return self._transaction(job.step, job.items, is_hurried=is_hurried)
        except Exception as error:
            return error

    def _transaction(
        self, step: BatchStep, items: Sequence[Any], *, is_hurried: bool
    ) -> Sequence[Any]:
        assert self._writes is not None  # noqa: S101 -- opened by the caller
        for last_try in [False] * (_TRIES - 1) + [True]:
            try:
                with self._writes.begin() as connection:
                    if is_hurried:
                        connection.execute(_WAIT_FOR_NO_LOCK)
                    return step(connection, items)
            except DBAPIError as error:
                if last_try or not _may_go_through(error):
                    self._silence.note(error)
                    self._refusals.note(error)
                    raise failure(error) from None
                if is_read_only(error):
                    continue  # on a new connection, which may lead to the new primary server
                # The other transaction needs the locks that this one has just released.
                time.sleep(random.uniform(0.01, 0.05))
            except SQLAlchemyError as error:
                raise failure(error) from None
            except Conflict:
                if last_try:
                    raise
        raise StorageUnavailable("no transaction succeeded")


def _is_gone(error: Exception) -> bool:
    """Whether the server itself failed, so that each job alone would fail too, and slowly."""
    is_ours = isinstance(error, OperationalError | InterfaceError)
    is_theirs = is_ours and getattr(error, "orig", None) is not None
    return is_theirs and not _may_go_through(error) and not _is_held_up(error)


def _may_go_through(error: Exception) -> bool:
    return _sqlstate(error) in _TRY_AGAIN or is_read_only(error)


def _refused() -> StorageUnavailable:
    return StorageUnavailable("the server took no writes a moment ago")


def _is_held_up(error: Exception) -> bool:
    return _sqlstate(error) == _LOCK_NOT_AVAILABLE


def _sqlstate(error: Exception) -> str | None:
    return getattr(getattr(error, "orig", None), "sqlstate", None)
