"""Buffers in memory what this process observes of its sources."""
# A callback, genuine or forged, costs one assignment here. A thread writes the buffer in one short
# transaction each second.

import threading
from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog

from app.domain.sources import IdChange
from app.platforms.kit.callback import SubscriptionLease
from app.platforms.kit.fields import label
from app.steps import proxies, sources
from app.steps.intake import MAX_REASON
from app.steps.sources import Sighting, minute_of
from app.storage.database import Database
from app.storage.errors import StatementFailed, StorageUnavailable

log = structlog.get_logger(__name__)

EVERY_SECONDS = 1.0
# A proxy writes its header on every request. It is stored once in this time.
PROXIED_AGAIN = timedelta(minutes=10)


class SightingsBuffer:
    """The sightings of one process. The first one starts the thread that writes them."""

    def __init__(self, database: Database, every_seconds: float = EVERY_SECONDS) -> None:
        self._database = database
        self._every_seconds = every_seconds
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._sightings: dict[str, Sighting] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._proxied_at: datetime | None = None

    def believed(self, source: str, at: datetime, secret: str | None = None) -> None:
        """Record an authentic callback, whatever its contents, and the secret that proved it."""
        with self._lock:
            seen = self._sighting(source)
            if secret is not None:
                seen.fitted_at[secret] = at
            seen.callback_at = at
            seen.refusals = 0
            seen.believed_in[minute_of(at)] += 1

    def proved(self, source: str, at: datetime, grant: SubscriptionLease | None = None) -> None:
        """Record an answered handshake and the subscription that it granted."""
        with self._lock:
            seen = self._sighting(source)
            seen.handshake_at = at
            if grant is not None:
                seen.granted_seconds[grant.topic] = grant.seconds

    def refused(self, source: str, at: datetime, kind: str, reason: str) -> None:
        """Record a refused callback."""
        with self._lock:
            seen = self._sighting(source)
            seen.refused_at, seen.refusal_kind = at, kind
            seen.refusal_reason = label(reason) or ""
            seen.refusals += 1
            seen.refused_in[minute_of(at)] += 1

    def unrewarded(self, source: str, at: datetime, reasons: Iterable[str]) -> None:
        """Record what was received from a source and earns nothing, with a reason for each."""
        with self._lock:
            seen = self._sighting(source)
            for reason in reasons:
                seen.note_reason((label(reason) or "")[:MAX_REASON], at)

    def changed(self, source: str, at: datetime, old_id: str, new_id: str) -> None:
        """Record that something which the configuration may name has another id."""
        with self._lock:
            self._sighting(source).changes[old_id] = IdChange(old_id, new_id, at)

    def noticed(self, source: str, at: datetime, notice: str) -> None:
        """Record a platform's message about the subscription."""
        with self._lock:
            seen = self._sighting(source)
            seen.notice_at, seen.notice = at, label(notice) or ""

    def proxied(self, at: datetime, header: str) -> None:
        """Record a header of an unknown proxy. It is logged once."""
        before = self._proxied_at
        if before is not None and abs(at - before) < PROXIED_AGAIN:
            return
        self._proxied_at = at
        self.noticed(proxies.SIGHTED_AS, at, header)
        if before is None:
            log.warning("proxy.not_trusted", header=header, meaning=proxies.told(header))

    def flush(self) -> None:
        """Write the sightings. They are kept if the database is not available."""
        with self._writing:
            with self._lock:
                waiting, self._sightings = self._sightings, {}
            if not waiting:
                return
            try:
                self._database.write(lambda connection: sources.keep(connection, waiting))
            except StorageUnavailable as error:
                log.warning("watch.not_recorded", problem=str(error))
                self._put_back(waiting)
            except StatementFailed:
                # A repetition would fail in the same way, so the sightings are dropped.
                log.exception("watch.failed")

    def close(self) -> None:
        """Stop the thread and write the rest."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self.flush()

    def _sighting(self, source: str) -> Sighting:
        if self._thread is None and not self._stopping.is_set():
            self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
            self._thread.start()
        seen = self._sightings.get(source)
        if seen is None:
            seen = self._sightings[source] = Sighting()
        return seen

    def _run(self) -> None:
        while not self._stopping.wait(self._every_seconds):
            try:
                self.flush()
            except Exception:
                log.exception("watch.failed")

    def _put_back(self, waiting: dict[str, Sighting]) -> None:
        with self._lock:
            for source, later in self._sightings.items():
                waiting.setdefault(source, Sighting()).absorb(later)
            self._sightings = waiting
