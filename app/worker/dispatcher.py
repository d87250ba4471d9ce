"""When is what submitted?"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, Row

from app.steps import forwarding, pace, timers
from app.steps.forwarding import Started
from app.storage.errors import StorageUnavailable
from app.storage.listening import DUE, Listener
from app.worker.forwarder import Forwarder

log = structlog.get_logger(__name__)

T = TypeVar("T")

_SWEEP_EVERY_SECONDS = 0.5
_AFTER_TROUBLE_SECONDS = 1.0
_SOON_SECONDS = 0.25
_AT_ONCE = 100
# How long to sleep when nothing is owed and the database will say when something is. Not longer:
# a notice may be lost, and a clock may be set. The trigger's notices reach further ahead.
_SLEEP_SECONDS = 5.0
# Workers that wait for the same place in the pace do not all ask at the same instant: each asks up
# to this much later, and the longer the more often others were faster. Seconds.
_LEAST_SPREAD, _MOST_SPREAD = 0.02, 1.0


class Dispatcher:
    """One thread that starts what is due, and a pool that carries it out.

    Any number of them may share a database: leases, the pace and the pause live there.
    """

    def __init__(
        self,
        forwarder: Forwarder,
        *,
        threads: int,
        poll_seconds: float,
        now: Callable[[], datetime],
    ) -> None:
        self._forwarder = forwarder
        self._database = forwarder.database
        self._poll_seconds = poll_seconds
        self._now = now
        self._free = threading.Semaphore(threads)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="submit")
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._sweep_at = 0.0
        self._blocked_until = 0.0
        self._spread_seconds = _LEAST_SPREAD
        self._met_others = False
        embedded = self._database.is_embedded
        self._listener = None if embedded else Listener(self._database.url, DUE, self.wake)
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)

    def start(self) -> None:
        if self._listener is not None:
            self._listener.start()
        self._thread.start()

    def wake(self) -> None:
        """Say that something may have become due. While nothing may start, it can wait."""
        if time.monotonic() >= self._blocked_until:
            self._wake.set()

    def stop(self) -> None:
        """Start nothing more, and let what is in flight be answered and recorded."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._pool.shutdown(wait=True)
        if self._listener is not None:
            self._listener.stop()
        self._forwarder.close()

    def _run(self) -> None:
        self._tried(lambda: self._database.write(pace.probe_now))
        while not self._stopping.is_set():
            self._wake.clear()
            self._wake.wait(self._tried(self._round))

    def _tried(self, act: Callable[[], T]) -> T | float:
        """A worker outlives every trouble: whatever is owed stays owed in the database."""
        try:
            return act()
        except StorageUnavailable as error:
            log.warning("worker.storage_unavailable", problem=str(error))
        except Exception:
            log.exception("worker.failed")
        return _AFTER_TROUBLE_SECONDS

    def _round(self) -> float:
        """Start what can be started; the seconds to wait then, unless woken before."""
        self._blocked_until = 0.0
        if time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + _SWEEP_EVERY_SECONDS
            self._sweep()
        with self._database.read() as connection:
            due = forwarding.due_attempts(connection, self._now(), _AT_ONCE)
            if not due:
                return self._rest(timers.next_strike(connection))
        for tried, attempt_id in enumerate(self._in_turn(due)):
            if self._stopping.is_set() or not self._free.acquire(blocking=False):
                return self._poll_seconds
            until = self._start(attempt_id)
            if until is not None:
                return self._wait_for_a_place(until, has_started=tried > 0)
        return 0.0 if len(due) == _AT_ONCE else self._poll_seconds

    def _in_turn(self, due: Sequence[Row[Any]]) -> list[str]:
        """Which to try, the longest due first, and the first of each customer only.

        Once another worker was faster, in an order of our own: else all of them would go on to
        meet at one attempt after another, and all but one lose.
        """
        first: dict[str, str] = {}
        for attempt in due:
            first.setdefault(attempt.customer_id, attempt.id)
        in_turn = list(first.values())
        if self._met_others:
            random.shuffle(in_turn)
        self._met_others = False
        return in_turn

    def _wait_for_a_place(self, until: datetime, *, has_started: bool) -> float:
        """How long to wait when the pace or the pause lets nobody start before ``until``."""
        spread = _LEAST_SPREAD if has_started else min(2 * self._spread_seconds, _MOST_SPREAD)
        self._spread_seconds = spread
        seconds = max(0.005, (until - self._now()).total_seconds())
        # Not longer than a sleep: other clocks strike meanwhile, and others may lift the pause.
        wait = min(seconds, _SLEEP_SECONDS) + random.uniform(0, spread)
        self._blocked_until = time.monotonic() + wait
        return wait

    def _rest(self, next_strike: datetime | None) -> float:
        """How long to wait when nothing can be started: until the next clock, or a look round."""
        is_told = self._listener is not None and self._listener.is_listening
        longest = max(_SLEEP_SECONDS, self._poll_seconds) if is_told else self._poll_seconds
        if next_strike is None:
            return longest
        seconds = (next_strike - self._now()).total_seconds()
        if seconds <= 0:  # in other hands, or for the next sweep
            return min(self._poll_seconds, max(0.001, self._sweep_at - time.monotonic()))
        return min(seconds + 0.001, longest)

    def _start(self, attempt_id: str) -> datetime | None:
        """Start one attempt, holding a place in the pool. When nothing may start: until when."""
        handed_over = False
        try:
            began = time.monotonic()
            made = self._forwarder.start(attempt_id)
            if isinstance(made, Started):
                self._pool.submit(self._carry_out, made, began)
                handed_over = True
                return None
            self._met_others |= made.until is None
            return made.until
        except StorageUnavailable:
            raise
        except Exception:
            # One attempt that cannot be started must not keep the others waiting behind it.
            log.exception("submission.failed", attempt=attempt_id)
            return None
        finally:
            if not handed_over:
                self._free.release()

    def _carry_out(self, made: Started, began: float) -> None:
        try:
            self._forwarder.carry_out(made, began)
        except Exception:
            log.exception("submission.failed", attempt=made.attempt_id)
        finally:
            self._free.release()
            # An answer may have lifted a pause; what only waits for its place need not ask again.
            if self._blocked_until - time.monotonic() > _SOON_SECONDS or not self._blocked_until:
                self._wake.set()

    def _sweep(self) -> None:
        """Take back what dead workers left, and strike the clocks that ran out."""
        now = self._now()
        with self._database.read() as connection:
            has_work = timers.is_anything_to_sweep(connection, now)
        if has_work:
            self._database.write(self._sweep_in)

    def _sweep_in(self, connection: Connection) -> None:
        now = self._now()
        forwarding.reclaim(connection, self._forwarder.policy, now, _AT_ONCE)
        timers.strike(connection, now, _AT_ONCE)
