"""Send many callbacks at a given rate and collect the responses."""

import math
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from app.cli.callbacks import Answered, Signed, post, signed_callback
from app.cli.clients import new_client
from app.domain.clock import utc_now
from app.outgoing.http import Client
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.examples import Template

MOST_AT_ONCE = 16
NUMBER = "{n}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to send. ``actor``, ``target`` and ``key`` may contain `NUMBER`, counted from 1."""

    url: str
    adapter: Adapter
    template: Template
    actor: str
    target: str
    key: str | None
    count: int
    rate: float | None
    is_forged: bool

    def callback(self, number: int) -> Signed:
        """Sign the callback with this number. Without a key each callback is a new event."""
        key = str(uuid.uuid4()) if self.key is None else _numbered(self.key, number)
        return signed_callback(
            self.adapter,
            self.template,
            actor=_numbered(self.actor, number),
            target=_numbered(self.target, number),
            key=key,
            now=utc_now(),
            is_forged=self.is_forged,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """The sent callbacks with their responses, and the total time."""

    sent: Sequence[tuple[Signed, Answered]]
    seconds: float

    @property
    def answers(self) -> list[Answered]:
        return [answered for _, answered in self.sent]

    @property
    def statuses(self) -> Counter[int | None]:
        return Counter(answered.status for answered in self.answers)

    def latency_ms(self, share: float) -> float:
        """Return the latency that ``share`` of the responses did not exceed (nearest rank)."""
        latencies = sorted(answered.seconds for answered in self.answers)
        return round(latencies[math.ceil(share * len(latencies)) - 1] * 1000, 1)


def send(order: Order) -> Outcome:
    """Send all callbacks, at most `MOST_AT_ONCE` at a time and no faster than the rate."""
    clients = Clients(order.url)
    began = time.monotonic()

    def one(number: int) -> tuple[Signed, Answered]:
        if order.rate is not None:
            time.sleep(max(0.0, began + (number - 1) / order.rate - time.monotonic()))
        signed = order.callback(number)
        return signed, post(clients.mine(), order.url, signed)

    pool = ThreadPoolExecutor(min(order.count, MOST_AT_ONCE))
    try:
        sent = list(pool.map(one, range(1, order.count + 1)))
    finally:
        pool.shutdown(cancel_futures=True)
        clients.close()
    return Outcome(sent, time.monotonic() - began)


class Clients:
    """One HTTP client per thread, because clients are not shared between threads."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._local = threading.local()
        self._all: list[Client] = []

    def mine(self) -> Client:
        client: Client | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = new_client(self._url)
            self._all.append(client)
        return client

    def close(self) -> None:
        for client in self._all:
            client.close()


def _numbered(text: str, number: int) -> str:
    return text.replace(NUMBER, str(number))
