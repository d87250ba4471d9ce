"""The thread that renews subscriptions before they lapse."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

import structlog

from app.outgoing.http import NoResponse, send
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import SubscriptionRequest
from app.steps import subscriptions
from app.storage.database import Database
from app.worker.loop import Loop

log = structlog.get_logger(__name__)

LOOK_EVERY_SECONDS = 60.0


class Renewals:
    """Renews subscriptions in one thread. Several processes can share a database."""

    def __init__(
        self,
        database: Database,
        adapters: Mapping[str, Adapter],
        now: Callable[[], datetime],
        look_every_seconds: float = LOOK_EVERY_SECONDS,
    ) -> None:
        self._database = database
        self._adapters = adapters
        self._now = now
        self._look_every_seconds = look_every_seconds
        self._loop = Loop("renewals", self._round, after_error_seconds=look_every_seconds)

    def start(self) -> None:
        """Start the thread if any source has subscriptions to renew."""
        if any(True for _ in self._asks()):
            self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def look(self) -> None:
        """Request every renewal that is due."""
        for source, topic, ask in self._asks():
            if self._loop.is_stopping:
                return
            with self._database.read() as connection:
                is_due = subscriptions.is_due(connection, source, topic, self._now())
            if is_due and self._take(source, topic):
                self._send(source, topic, ask)

    def _asks(self) -> Iterator[tuple[str, str, SubscriptionRequest]]:
        for source, adapter in self._adapters.items():
            for topic in adapter.topics:
                ask = adapter.ask_for(topic)
                if ask is not None:
                    yield source, topic, ask

    def _take(self, source: str, topic: str) -> bool:
        return self._database.write(
            lambda connection: subscriptions.take(connection, source, topic, self._now())
        )

    def _send(self, source: str, topic: str, ask: SubscriptionRequest) -> None:
        problem = _asked(ask)
        log.info("subscription.asked", source=source, topic=topic, problem=problem)
        if problem is not None:
            self._database.write(
                lambda connection: subscriptions.failed(connection, source, topic, problem)
            )

    def _round(self) -> float:
        self.look()
        return self._look_every_seconds


def _asked(ask: SubscriptionRequest) -> str | None:
    """Send the request. Returns the problem or None.

    The problem includes nothing of the request, which contains a secret.
    """
    try:
        response = send(ask.request, reads_body=False)
    except NoResponse as error:
        return f"no answer: {error.reason}"
    return None if response.is_success else str(response.status)
