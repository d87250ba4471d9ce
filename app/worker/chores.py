"""What is to be done besides submitting, by whichever process comes by?"""

import threading
import time
from collections.abc import Callable
from datetime import datetime

import structlog

from app.service import Service
from app.steps import bulk, erasure, retention
from app.steps.retention import Kept
from app.storage import seal_backfill
from app.storage.errors import StorageUnavailable

log = structlog.get_logger(__name__)

EVERY_SECONDS = 1.0
# Between two slices, for callbacks that wait for the writer.
_BREATH_SECONDS = 0.02
# Rows that are let go in one transaction; a callback that waits for it waits milliseconds.
PURGED_AT_ONCE = 200
# Until the next look, where nothing is old enough. A backlog goes by a slice a second: 17 million
# rows a day.
_LOOK_AGAIN_SECONDS = 60.0


class Chores:
    """One thread beside the others. What it does is kept in the database: any process goes on."""

    def __init__(self, service: Service, every_seconds: float = EVERY_SECONDS) -> None:
        self._service = service
        self._every_seconds = every_seconds
        self._stopping = threading.Event()
        self._purge_at = dict.fromkeys(Kept, 0.0)
        self._seal_at = 0.0
        self._thread = threading.Thread(target=self._run, name="chores", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more, and let what has begun end."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._every_seconds):
            self._tried(self._carry_on)
            self._purge()
            self._tried(self._seal)
            self._tried(self._service.database.shrink_log)

    def _tried(self, chore: Callable[[], None]) -> None:
        try:
            chore()
        except StorageUnavailable as error:
            log.warning("chores.storage_unavailable", problem=str(error))
        except Exception:
            log.exception("chores.failed")

    def _carry_on(self) -> None:
        """Carry on the bulk jobs and the erasures of customers, whoever asked for them."""
        with self._service.database.read() as connection:
            jobs, erasures = bulk.running(connection), erasure.running(connection)
        for job in jobs:
            self._tried(lambda job=job: self._carry_on_bulk(job))  # type: ignore[misc]
        for one in erasures:
            self._tried(lambda one=one: self._carry_on_erasure(one))  # type: ignore[misc]

    def _carry_on_bulk(self, job: str) -> None:
        service = self._service
        while service.database.write(lambda c: bulk.advance(c, job, service.now())):
            service.wake_worker()
            if self._stopping.wait(_BREATH_SECONDS):
                return
        service.wake_worker()

    def _carry_on_erasure(self, erasure_id: str) -> None:
        service = self._service
        while service.database.write(lambda c: erasure.advance(c, erasure_id, service.now())):
            if self._stopping.wait(_BREATH_SECONDS):
                return

    def _purge(self) -> None:
        """Let go of a little of each kind that is older than it is kept."""
        service = self._service
        for kind, older_than in retention.bounds(service.kept_seconds(), service.now()).items():
            self._tried(lambda k=kind, b=older_than: self._purge_one(k, b))  # type: ignore[misc]

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
        """Seal a little of what a version left in clear that did not seal it.

        One may still be in service beside us, while machines are upgraded.
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
