"""The thread for bulk jobs, erasures, retention and sealing. Any process can run it."""

import time
from datetime import datetime

import structlog

from app.service import Service
from app.steps import bulk, erasure, retention
from app.steps.retention import Kept
from app.storage import seal_backfill
from app.worker.loop import Loop

log = structlog.get_logger(__name__)

EVERY_SECONDS = 1.0
# Pause between two slices, so that waiting callbacks can write.
_BREATH_SECONDS = 0.02
# Rows deleted in one transaction. A callback that waits for it waits milliseconds.
PURGED_AT_ONCE = 200
# Wait before the next look if nothing is old enough. A backlog is deleted at one slice per second:
# 17 million rows per day.
_LOOK_AGAIN_SECONDS = 60.0


class Chores:
    """Runs the chores in one thread. Their state is in the database: any process can continue."""

    def __init__(self, service: Service, every_seconds: float = EVERY_SECONDS) -> None:
        self._service = service
        self._every_seconds = every_seconds
        self._purge_at = dict.fromkeys(Kept, 0.0)
        self._seal_at = 0.0
        self._loop = Loop("chores", self._round, first_wait_seconds=every_seconds)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        """Start nothing more. Wait until the current chore ends."""
        self._loop.stop()

    def _round(self) -> float:
        self._loop.outlive(self._carry_on)
        self._purge()
        self._loop.outlive(self._seal)
        self._loop.outlive(self._service.database.shrink_log)
        return self._every_seconds

    def _carry_on(self) -> None:
        """Continue all bulk jobs and customer erasures, including those of other processes."""
        with self._service.database.read() as connection:
            jobs, erasures = bulk.running(connection), erasure.running(connection)
        for job in jobs:
            self._loop.outlive(lambda job=job: self._carry_on_bulk(job))  # type: ignore[misc]
        for one in erasures:
            self._loop.outlive(lambda one=one: self._carry_on_erasure(one))  # type: ignore[misc]

    def _carry_on_bulk(self, job: str) -> None:
        service = self._service
        while service.database.write(lambda c: bulk.advance(c, job, service.now())):
            service.wake_worker()
            if self._loop.wait(_BREATH_SECONDS):
                return
        service.wake_worker()

    def _carry_on_erasure(self, erasure_id: str) -> None:
        service = self._service
        while service.database.write(lambda c: erasure.advance(c, erasure_id, service.now())):
            if self._loop.wait(_BREATH_SECONDS):
                return

    def _purge(self) -> None:
        """Delete one slice of each kind of row that is past its retention time."""
        service = self._service
        for kind, older_than in retention.bounds(service.kept_seconds(), service.now()).items():
            self._loop.outlive(lambda k=kind, b=older_than: self._purge_one(k, b))  # type: ignore[misc]

    def _purge_one(self, kind: Kept, older_than: datetime) -> None:
        if time.monotonic() < self._purge_at[kind]:
            return
        database = self._service.database
        with database.read() as connection:
            is_due = retention.is_due(connection, kind, older_than)
        if is_due:
            database.write(lambda c: retention.purge(c, kind, older_than, PURGED_AT_ONCE))
        else:
            self._purge_at[kind] = time.monotonic() + _LOOK_AGAIN_SECONDS

    def _seal(self) -> None:
        """Seal one slice of the values that an older version stored in clear text.

        During an upgrade, machines with the older version may still be running.
        """
        if time.monotonic() < self._seal_at:
            return
        database = self._service.database
        with database.read() as connection:
            is_left = seal_backfill.is_any_left(connection)
        if is_left:
            database.write(lambda c: seal_backfill.seal_some(c, PURGED_AT_ONCE))
        else:
            self._seal_at = time.monotonic() + _LOOK_AGAIN_SECONDS
