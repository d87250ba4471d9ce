"""When is what submitted?"""

import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import structlog
from sqlalchemy import Connection

from app.steps import forwarding, health, rate_limit, timers
from app.steps.forwarding import Deferred, StartedSubmission
from app.storage.errors import StorageUnavailable
from app.storage.listening import DUE, Listener
from app.worker.backoff import Backoff
from app.worker.forwarder import Forwarder
from app.worker.loop import Loop

log = structlog.get_logger(__name__)

_SWEEP_EVERY_SECONDS = 0.5
_SOON_SECONDS = 0.25
_AT_ONCE = 100
# How long to sleep when nothing is owed and the database will say when something is. Not longer:
# a notice may be lost, and a clock may be set. The trigger's notices reach further ahead.
_SLEEP_SECONDS = 5.0
# How long what was found due is worth trying without looking again, and how long a worker
# remembers that another was faster at an attempt. Seconds.
_FRESH_SECONDS, _COMPANY_SECONDS = 1.0, 60.0
# How long a worker leaves alone what it came to grief over. Another may well be able to start it.
_ASIDE_SECONDS = 60.0
# How often a worker notes in the database that it lives, and after how long without a step of its
# own it is taken for dead: each of its waits, for the database or for work, is shorter.
_ALIVE_EVERY_SECONDS, _DEAD_AFTER_SECONDS = 30.0, 60.0


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
        self._loop = Loop("worker", self._round)
        self._has_probed = False
        self._sweep_at = 0.0
        self._say_alive_at = 0.0
        self._moved_at = 0.0
        self._blocked_until = 0.0
        # Due attempts to be tried next, the latest time to try them, and whether there were more.
        self._found: deque[str] = deque()
        self._fresh_until = 0.0
        self._are_there_more = False
        self._aside_until: dict[str, float] = {}
        self._company_until = 0.0
        self._place_at = math.inf
        self._spread = Backoff()
        self._listener = (
            Listener(self._database.url, DUE, self.wake) if self._database.has_notices else None
        )

    def start(self) -> None:
        if self._listener is not None:
            self._listener.start()
        self._moved_at = time.monotonic()
        self._loop.start()

    def is_alive(self) -> bool:
        """Whether it goes on starting what is due."""
        has_moved = time.monotonic() - self._moved_at < _DEAD_AFTER_SECONDS
        return self._loop.is_alive and has_moved

    def wake(self) -> None:
        """Say that something may have become due. While nothing may start, it can wait."""
        if time.monotonic() >= self._blocked_until:
            self._loop.wake()

    def stop(self) -> None:
        """Start nothing more, and let what is in flight be answered and recorded."""
        self._loop.stop()
        self._pool.shutdown(wait=True)
        if self._listener is not None:
            self._listener.stop()
        self._forwarder.close()

    def _round(self) -> float:
        """Start what can be started; the seconds to wait then, unless woken before."""
        if not self._has_probed:
            self._has_probed = True
            self._loop.outlive(lambda: self._database.write(rate_limit.probe_now))
        self._blocked_until = 0.0
        self._moved_at = time.monotonic()
        if time.monotonic() >= self._say_alive_at:
            self._say_alive_at = time.monotonic() + _ALIVE_EVERY_SECONDS
            self._loop.outlive(self._say_alive)
        if time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + _SWEEP_EVERY_SECONDS
            # What it comes to grief over must not keep what is due from being started.
            self._loop.outlive(self._sweep)
        is_new = not self._found or time.monotonic() >= self._fresh_until
        if is_new:
            next_strike = self._find()
            if not self._found:
                return self._rest(next_strike)
        while self._found:
            if self._loop.is_stopping or not self._free.acquire(blocking=False):
                return self._poll_seconds
            next_at = self._start_next()
            if next_at is not None:
                return self._wait_for_a_place(next_at)
        return self._poll_seconds if is_new and not self._are_there_more else 0.0

    def _say_alive(self) -> None:
        self._database.write(lambda connection: health.say_alive(connection, self._now()))

    def _find(self) -> datetime | None:
        """Look for what is due; when nothing is, return the time of the next strike."""
        self._aside_until = {i: at for i, at in self._aside_until.items() if at > time.monotonic()}
        most = _AT_ONCE + len(self._aside_until)
        with self._database.read() as connection:
            due = forwarding.due_attempts(connection, self._now(), most)
            # The longest due first, and the first of each customer only.
            first: dict[str, str] = {}
            for attempt in due:
                if attempt.id not in self._aside_until:
                    first.setdefault(attempt.customer_id, attempt.id)
            next_strike = None if first else timers.next_timer_at(connection)
        found = list(first.values())
        if time.monotonic() < self._company_until:
            # Else all workers would meet at one attempt after another, and all but one lose.
            random.shuffle(found)
        self._found = deque(found)
        self._are_there_more = len(due) == most
        self._fresh_until = time.monotonic() + _FRESH_SECONDS
        return next_strike

    def _start_next(self) -> datetime | None:
        """Try the next one found, holding a place in the pool. Until when may no other start?"""
        attempt_id = self._found.popleft()
        self._moved_at = time.monotonic()
        made = self._start(attempt_id)
        if made is None:
            return None
        if isinstance(made, StartedSubmission):
            self._spread.got_a_place()
        elif made.next_at is None:
            self._company_until = time.monotonic() + _COMPANY_SECONDS
        else:
            self._found.appendleft(attempt_id)
            if time.monotonic() >= self._place_at:
                self._spread.was_late()
        return made.next_at

    def _wait_for_a_place(self, next_at: datetime) -> float:
        """How long to wait when the pace or the pause lets nobody start before ``next_at``."""
        seconds = max(0.005, (next_at - self._now()).total_seconds())
        self._place_at = time.monotonic() + seconds
        # Not longer than a sleep: other clocks strike meanwhile, and others may lift the pause.
        wait = min(seconds, _SLEEP_SECONDS) + self._spread.draw()
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

    def _start(self, attempt_id: str) -> StartedSubmission | Deferred | None:
        """Start one attempt, holding a place in the pool; None when it came to grief."""
        handed_over = False
        try:
            began = time.monotonic()
            made = self._forwarder.start(attempt_id)
            if isinstance(made, StartedSubmission):
                self._pool.submit(self._carry_out, made, began)
                handed_over = True
            return made
        except StorageUnavailable:
            raise
        except Exception:
            # One attempt that cannot be started must not keep the others waiting behind it.
            log.exception("submission.failed", attempt=attempt_id)
            self._aside_until[attempt_id] = time.monotonic() + _ASIDE_SECONDS
            return None
        finally:
            if not handed_over:
                self._free.release()

    def _carry_out(self, made: StartedSubmission, began: float) -> None:
        try:
            self._forwarder.carry_out(made, began)
        except Exception:
            log.exception("submission.failed", attempt=made.attempt_id)
        finally:
            self._free.release()
            # An answer may have lifted a pause; what only waits for its place need not ask again.
            if self._blocked_until - time.monotonic() > _SOON_SECONDS or not self._blocked_until:
                self._loop.wake()

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
        timers.fire(connection, now, _AT_ONCE)
