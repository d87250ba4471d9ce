"""Assign threads to requests, so that platforms never wait for people, nor people for exports."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import ceil
from typing import Any
from urllib.parse import unquote_to_bytes

# Seconds that a request waits for a thread of its lane; then the answer is a 503.
QUEUE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Threads for the paths that begin with one of ``paths``; no other request gets them."""

    name: str
    paths: tuple[bytes, ...]
    # The share of gunicorn's `threads`, and at least ``least`` of them.
    share: float
    least: int = 2
    # Requests that may wait for a thread; None: as many as there are connections.
    most_waiting: int | None = 64

    def threads(self, of: int) -> int:
        return max(self.least, ceil(of * self.share))


INTAKE = Lane(name="intake", paths=(b"/webhooks/",), share=1.0, most_waiting=None)
PEOPLE = Lane(name="people", paths=(b"",), share=0.25, least=4)
# The first lane whose path matches. Threads are started when they are first needed.
LANES = (
    INTAKE,
    # It uses no database, so that nobody restarts us because the database is slow.
    Lane(name="alive", paths=(b"/healthz",), share=0.0),
    Lane(name="probes", paths=(b"/readyz", b"/metrics"), share=0.0),
    # Answers that last for as long as somebody reads them.
    Lane(name="exports", paths=(b"/v1/attempts/export",), share=0.125, most_waiting=8),
    PEOPLE,
)


def lane_of(path: bytes) -> Lane:
    """Return the lane of a path with its escapes, which are decoded before it is served."""
    plain = unquote_to_bytes(path)
    return next(lane for lane in LANES if plain.startswith(lane.paths))


@dataclass(slots=True, kw_only=True)
class Queue:
    """One lane's threads, and the connections that wait for one. Only the poller uses it."""

    lane: Lane
    pool: ThreadPoolExecutor
    free: int
    waiting: deque[Any] = field(default_factory=deque)

    @property
    def is_free(self) -> bool:
        return self.free > 0 or self.lane.most_waiting is None

    @property
    def may_wait(self) -> bool:
        return self.lane.most_waiting is None or len(self.waiting) < self.lane.most_waiting


def make_queues(threads: int, intake: ThreadPoolExecutor) -> dict[Lane, Queue]:
    """Return the queues of all lanes. ``intake`` is gunicorn's own pool of ``threads``."""
    queues = {INTAKE: Queue(lane=INTAKE, pool=intake, free=threads)}
    for lane in LANES:
        if lane is not INTAKE:
            count = lane.threads(threads)
            queues[lane] = Queue(lane=lane, pool=ThreadPoolExecutor(count, lane.name), free=count)
    return queues
