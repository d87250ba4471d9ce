"""Which threads serve which requests? Platforms never wait for people, nor people for exports."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import ceil
from typing import Any
from urllib.parse import unquote_to_bytes

# Seconds that a request waits for a thread of its lane before it is answered 503.
QUEUE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Threads for the paths that begin with one of ``paths``; no other request gets one of them."""

    name: str
    paths: tuple[bytes, ...]
    # The part of gunicorn's `threads`; at least ``least`` of them.
    share: float
    least: int = 2
    # Requests that may wait for a thread; None: as many as there are connections.
    most_waiting: int | None = 64

    def threads(self, of: int) -> int:
        return max(self.least, ceil(of * self.share))


INTAKE = Lane(name="intake", paths=(b"/webhooks/",), share=1.0, most_waiting=None)
PEOPLE = Lane(name="people", paths=(b"",), share=0.25, least=4)
# The first whose path fits. Threads are only started when they are needed.
LANES = (
    INTAKE,
    # It asks no database, so that nobody restarts us because the database is slow.
    Lane(name="alive", paths=(b"/healthz",), share=0.0),
    Lane(name="probes", paths=(b"/readyz", b"/metrics"), share=0.0),
    # Answers that last as long as somebody reads them.
    Lane(name="exports", paths=(b"/v1/attempts/export",), share=0.125, most_waiting=8),
    PEOPLE,
)


def lane_of(path: bytes) -> Lane:
    """``path`` as the request line has it: it is served under what its escapes mean."""
    plain = unquote_to_bytes(path)
    return next(lane for lane in LANES if plain.startswith(lane.paths))


@dataclass(slots=True)
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
    """``intake`` is gunicorn's own pool, of so many threads."""
    queues = {INTAKE: Queue(INTAKE, intake, threads)}
    for lane in LANES:
        if lane is not INTAKE:
            count = lane.threads(threads)
            queues[lane] = Queue(lane, ThreadPoolExecutor(count, lane.name), count)
    return queues
