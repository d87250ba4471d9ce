"""The gunicorn worker that serves simultaneous callbacks in one thread, with one write."""

# A thread for each callback would switch the interpreter many times, and that costs more than the
# work itself (bench/intake).

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from app.server.fast_path import FastCallback
from app.server.slow_clients import SMALL, Connection, SlowClientWorker
from app.storage.coalesce import run_coalesced

MOST_TOGETHER = 64
# A longer commit waits for something other than the disk; then callbacks do not wait for it.
SLOW_SECONDS = 0.1

# A callback and its connection.
Arrived = tuple[Connection, FastCallback]


class CallbackWorker(SlowClientWorker):
    """Simultaneous plain callbacks share a thread; every other request has its own.

    When the application says ``gathers_callbacks``, callbacks that arrive during a commit wait for
    its end, so that the next commit serves all of them.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arrived: list[Arrived] = []
        self._read_now: Sequence[Arrived] | None = None
        self._begun_at: dict[int, float] = {}
        self._gathers: bool = self.app.gathers_callbacks

    def serve_arrived(self, conn: Connection, data: bytes) -> None:
        # A batch of a thousand updates gets its own thread: others would wait for it.
        is_small = conn.sock.is_whole and len(data) <= SMALL
        plain = FastCallback.read(data, self.app.service.configuration) if is_small else None
        if plain is None:
            super().serve_arrived(conn, data)
        else:
            self._arrived.append((conn, plain))

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        wait = min(timeout, SLOW_SECONDS) if self._arrived else timeout
        super().wait_for_and_dispatch_events(wait)
        self._begin_group()

    def _begin_group(self) -> None:
        """Serve the waiting callbacks, unless waiting longer would make the group larger."""
        if self._arrived and self._read_now is None and not self._is_worth_waiting():
            group, self._arrived = self._arrived[:MOST_TOGETHER], self._arrived[MOST_TOGETHER:]
            self._read_now = group
            self._begun_at[id(group)] = time.monotonic()
            self.tpool.submit(self._serve, group)

    def _is_worth_waiting(self) -> bool:
        begun_at = self._begun_at.values()
        return self._gathers and any(time.monotonic() < at + SLOW_SECONDS for at in begun_at)

    def _serve(self, group: Sequence[Arrived]) -> None:
        """Serve a group in a thread of the pool. During its commit the next group may be read."""
        ends: Sequence[Any] = [False] * len(group)
        calls = [partial(self._answer, *arrived) for arrived in group]
        try:
            ends = run_coalesced(calls, partial(self.method_queue.defer, self._end_reading, group))
        finally:
            self.method_queue.defer(self._finish_group, group, ends)

    def _answer(self, conn: Connection, plain: FastCallback) -> bool:
        """Answer one callback. Return whether its connection stays open."""
        self._count()
        is_full = len(self.keepalived_conns) >= self.max_keepalived
        stays = bool(self.alive and self._keepalive and not plain.is_last and not is_full)
        conn.sock.sendall(plain.answer(self.app.service, stays=stays))
        return stays

    def _count(self) -> None:
        """Count requests as gunicorn does, for the operator's `max_requests`."""
        self.nr += 1
        if self.nr >= self.max_requests:
            self.alive = False

    def _end_reading(self, group: Sequence[Arrived]) -> None:
        if self._read_now is group:
            self._read_now = None
        self._begin_group()

    def _finish_group(self, group: Sequence[Arrived], ends: Sequence[Any]) -> None:
        del self._begun_at[id(group)]
        for (conn, _), end in zip(group, ends, strict=True):
            self.answered(conn, stays=end is True)
        self._end_reading(group)
