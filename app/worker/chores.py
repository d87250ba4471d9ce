"""What is to be done besides submitting, by whichever process comes by?"""

import threading
from collections.abc import Callable

import structlog

from app.service import Service
from app.steps import bulk
from app.storage.errors import StorageUnavailable

log = structlog.get_logger(__name__)

EVERY_SECONDS = 1.0
# Between two slices, for callbacks that wait for the writer.
_BREATH_SECONDS = 0.02


class Chores:
    """One thread beside the others. What it does is kept in the database: any process goes on."""

    def __init__(self, service: Service, every_seconds: float = EVERY_SECONDS) -> None:
        self._service = service
        self._every_seconds = every_seconds
        self._stopping = threading.Event()
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
            self._tried(self._bulk)

    def _tried(self, chore: Callable[[], None]) -> None:
        try:
            chore()
        except StorageUnavailable as error:
            log.warning("chores.storage_unavailable", problem=str(error))
        except Exception:
            log.exception("chores.failed")

    def _bulk(self) -> None:
        """Carry on the bulk jobs, whoever began them."""
        database = self._service.database
        with database.read() as connection:
            jobs = bulk.running(connection)
        for job in jobs:
            self._tried(lambda job=job: self._carry_on(job))  # type: ignore[misc]

    def _carry_on(self, job: str) -> None:
        service = self._service
        while service.database.write(lambda c: bulk.advance(c, job, service.now())):
            service.wake_worker()
            if self._stopping.wait(_BREATH_SECONDS):
                return
        service.wake_worker()
