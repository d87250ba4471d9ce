"""The writer thread of an embedded database, which commits many requests at once."""

import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

from sqlalchemy import Engine

from app.storage.batch import End, StepFailed, run_batch, run_each
from app.storage.errors import StorageUnavailable
from app.storage.failures import failure
from app.storage.jobs import Job, chunks, end_all

MAX_WAITING = 1_000
MAX_BATCH = 200


def _nothing() -> None:
    """The default of ``require_kept``: accept every commit."""


class GroupWriter:
    """The one thread that writes to an embedded database.

    It runs all waiting jobs in one transaction and answers them after its commit, so that they
    share one sync of the disk. A job that fails, fails alone. ``require_kept`` raises after a
    commit that cannot be relied on.
    """

    def __init__(
        self,
        engine: Engine,
        patience_seconds: float,
        require_kept: Callable[[], None] = _nothing,
    ) -> None:
        self._engine = engine
        self._require_kept = require_kept
        self._patience_seconds = patience_seconds
        self._jobs: SimpleQueue[Sequence[Job] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def write(self, jobs: Sequence[Job]) -> None:
        """Run ``jobs`` and wait for them; the writes of those that succeed are on disk."""
        if self._jobs.qsize() >= MAX_WAITING:
            refused = StorageUnavailable("too many writes are waiting")
            return end_all(jobs, refused)
        self._jobs.put(jobs)
        began = time.monotonic()
        for job in jobs:
            # A job given up here before it began never runs. One that has begun ends soon, but we
            # cannot tell how.
            patience = min(self._patience_seconds, job.patience_seconds)
            if not job.wait(max(0, began + patience - time.monotonic())):
                job.take()
                job.end = StorageUnavailable("the database is too slow")
        return None

    def close(self) -> None:
        """Finish the waiting jobs, then stop."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._jobs.get()) is not None:
            jobs, last = self._waiting(first)
            for chunk in chunks(jobs):
                taken = [job for job in chunk if job.take()]
                if taken:
                    self._commit(taken)
            if last:
                return

    def _waiting(self, first: Sequence[Job]) -> tuple[list[Job], bool]:
        jobs = list(first)
        while len(jobs) < MAX_BATCH:
            try:
                more = self._jobs.get_nowait()
            except Empty:
                break
            if more is None:
                return jobs, True
            jobs.extend(more)
        return jobs, False

    def _commit(self, jobs: list[Job]) -> None:
        """Commit all jobs in one transaction. Its failure fails all; a step's failure fails one."""
        try:
            ends = self._ends(jobs)
            self._require_kept()
        except Exception as error:
            ends = [(job, failure(error)) for job in jobs]
        for job, end in ends:
            job.finish(end)

    def _ends(self, jobs: list[Job]) -> list[End]:
        try:
            return run_batch(self._engine, jobs)
        except StepFailed as failed:
            if len(jobs) == 1:
                raise failed.error from None
            return run_each(self._engine, jobs)
