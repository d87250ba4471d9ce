"""How does gunicorn serve callbacks that arrive together? In one thread, with one write.

A thread for each would hand the interpreter over many times for each callback, and that, not the
work, is what a callback would cost most (bench/intake).
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from gunicorn.workers.gthread import TConn

from app.storage.sharing import run_sharing
from app.web.patient_worker import LENGTH, OTHER_LENGTH, PatientWorker

MOST_TOGETHER = 64
# A commit that takes longer waits for something else than the disk: nobody waits for it then.
SLOW_SECONDS = 0.1


class CallbackWorker(PatientWorker):
    """Whole callbacks that are there together share a thread; every other request has its own.

    Where its application says ``gathers_callbacks``, those that arrive during a commit wait for its
    end, so that the next one is for all of them.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._whole: list[TConn] = []
        self._read_now: Sequence[TConn] | None = None
        self._begun_at: dict[int, float] = {}
        self._gathers: bool = self.app.gathers_callbacks

    def serve_whole(self, conn: TConn, data: bytes) -> None:
        if is_whole_callback(data):
            self._whole.append(conn)
        else:
            super().serve_whole(conn, data)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        super().wait_for_and_dispatch_events(min(timeout, SLOW_SECONDS) if self._whole else timeout)
        self._begin_group()

    def _begin_group(self) -> None:
        """Serve what is there, unless the next group is the larger for waiting."""
        if self._whole and self._read_now is None and not self._is_worth_waiting():
            group, self._whole = self._whole[:MOST_TOGETHER], self._whole[MOST_TOGETHER:]
            self._read_now = group
            self._begun_at[id(group)] = time.monotonic()
            self.tpool.submit(self._serve, group)

    def _is_worth_waiting(self) -> bool:
        begun_at = self._begun_at.values()
        return self._gathers and any(time.monotonic() < at + SLOW_SECONDS for at in begun_at)

    def _serve(self, group: Sequence[TConn]) -> None:
        """In a thread of the pool. While the group waits for its commit, the next may be read."""
        ends: Sequence[Any] = [False] * len(group)
        calls = [partial(self.handle, conn) for conn in group]
        try:
            ends = run_sharing(calls, partial(self.method_queue.defer, self._end_reading, group))
        finally:
            self.method_queue.defer(self._finish_group, group, ends)

    def _end_reading(self, group: Sequence[TConn]) -> None:
        if self._read_now is group:
            self._read_now = None
        self._begin_group()

    def _finish_group(self, group: Sequence[TConn], ends: Sequence[Any]) -> None:
        del self._begun_at[id(group)]
        for conn, end in zip(group, ends, strict=True):
            self.finish_request(conn, _Done(end))
        self._end_reading(group)


class _Done:
    """What `finish_request` asks of a future."""

    def __init__(self, end: object) -> None:
        self._end = end

    def cancelled(self) -> bool:
        return False

    def result(self) -> object:
        if isinstance(self._end, BaseException):
            raise self._end
        return self._end


def is_whole_callback(data: bytes) -> bool:
    """Whether a callback can be read to its end without waiting for its sender."""
    head = data[: data.find(b"\r\n\r\n") + 4]
    # Not one expression over all lines: each of many lengths would be tried against the rest.
    length = LENGTH.search(head) if head.startswith(b"POST /webhooks/") else None
    return (
        length is not None
        and not OTHER_LENGTH.search(head)
        and head.count(b"\r") == head.count(b"\n") == head.count(b"\r\n")
        and len(data) - len(head) >= int(length[1])
    )
