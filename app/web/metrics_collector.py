"""Metrics that are read from the database at each scrape."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from threading import Lock

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Connection

from app.domain.attempts import State
from app.service import Service
from app.steps import health
from app.steps.sources import judged_seen
from app.storage.errors import StorageUnavailable
from app.web.source_metrics import source_gauges

# Counting every attempt reads a whole index; frequent scrapes share a count.
KEPT_SECONDS = 10.0


class DatabaseCollector(Collector):
    """Reads values from the database at the time of the scrape.

    Without the database it reports that, and the process's own counters are still scraped.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = Lock()
        self._by_state: dict[State, int] = {}
        self._counted_at = float("-inf")

    def collect(self) -> Iterator[GaugeMetricFamily]:
        is_writable = self._service.database.write_problem() is None
        try:
            with self._service.database.read() as connection:
                found = list(self._found(connection))
        except StorageUnavailable:
            found = []
        yield _gauge(
            "vouch_database_up",
            "Whether the database answers, and takes writes.",
            bool(found) and is_writable,
        )
        yield _gauge("vouch_database_writable", "Whether the database takes writes.", is_writable)
        yield from found

    def _found(self, connection: Connection) -> Iterator[GaugeMetricFamily]:
        now = self._service.now()
        yield self._attempts(connection)
        yield from _waits(connection, now)
        yield from _forwarding(health.forwarding(connection), now)
        yield from self._windows(connection, now)
        expected = self._service.configuration.expected
        found = judged_seen(connection, expected, now)
        seen = {name: found[name].within(source.topics) for name, source in expected.items()}
        yield from source_gauges(expected, seen, now)

    def _attempts(self, connection: Connection) -> GaugeMetricFamily:
        family = GaugeMetricFamily("vouch_attempts", "Attempts by state.", labels=["state"])
        for state, count in self._counted(connection).items():
            family.add_metric([state], count)
        return family

    def _counted(self, connection: Connection) -> dict[State, int]:
        with self._lock:
            if time.monotonic() - self._counted_at >= KEPT_SECONDS:
                self._by_state = health.attempts_by_state(connection)
                self._counted_at = time.monotonic()
            return self._by_state

    def _windows(self, connection: Connection, now: datetime) -> Iterator[GaugeMetricFamily]:
        used = GaugeMetricFamily(
            "vouch_submissions_in_window", "Submissions in the window.", labels=["window"]
        )
        limit = GaugeMetricFamily(
            "vouch_submissions_window_limit",
            "Submissions that the window allows.",
            labels=["window"],
        )
        for seconds, most in self._service.forwarding_policy().pace.windows:
            count = health.submissions_in_window(connection, seconds, now)
            used.add_metric([f"{seconds:g}s"], count)
            limit.add_metric([f"{seconds:g}s"], most)
        yield from (used, limit)


def _waits(connection: Connection, now: datetime) -> Iterator[GaugeMetricFamily]:
    yield _gauge(
        "vouch_oldest_due_seconds",
        "How long the oldest due attempt has been due; 0: none is due.",
        _age(health.oldest_due_at(connection), now),
    )
    yield _gauge(
        "vouch_oldest_unconfirmed_seconds",
        "How long the oldest accepted attempt has waited for its confirmation; 0: none waits.",
        _age(health.oldest_unconfirmed_at(connection), now),
    )
    yield _gauge(
        "vouch_oldest_unlinked_seconds",
        "How long the oldest unlinked attempt has waited; 0: none waits.",
        _age(health.oldest_unlinked_at(connection), now),
    )


def _forwarding(found: health.Forwarding, now: datetime) -> Iterator[GaugeMetricFamily]:
    yield _gauge(
        "vouch_forwarding_paused",
        "Forwarding waits for working credentials, plan or program.",
        found.paused_at is not None,
    )
    yield _gauge(
        "vouch_forwarding_slowed", "Forwarding waits after a 429 of Gameball.", found.is_slowed(now)
    )
    if found.worker_seen_at is not None:
        yield _gauge(
            "vouch_worker_seen_timestamp_seconds",
            "When a worker last took up a submission, in seconds since 1970.",
            found.worker_seen_at.timestamp(),
        )
    if found.worker_alive_at is not None:
        yield _gauge(
            "vouch_worker_alive_timestamp_seconds",
            "When a worker last reported, in seconds since 1970.",
            found.worker_alive_at.timestamp(),
        )


def _gauge(name: str, description: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, description, value=float(value))


def _age(moment: datetime | None, now: datetime) -> float:
    return 0.0 if moment is None else max(0.0, (now - moment) / timedelta(seconds=1))
