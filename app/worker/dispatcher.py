"""Starts due submissions at the rate limit, in a pool of threads."""

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
# The longest sleep when nothing is due and the database notifies us. A notice may be lost, and the
# clock may be set. The trigger sends notices further ahead than this.
_SLEEP_SECONDS = 5.0
# How long the attempts found due are tried without a new query, and how long a worker remembers
# that another worker was faster at an attempt. Seconds.
_FRESH_SECONDS, _COMPANY_SECONDS = 1.0, 60.0
# How long a worker skips an attempt that it failed to start. Another worker may be able to.
_ASIDE_SECONDS = 60.0
# How often a worker records in the database that it is alive, and after how long without progress
# it counts as dead. Each of its waits, for the database or for work, is shorter than that.
_ALIVE_EVERY_SECONDS, _DEAD_AFTER_SECONDS = 30.0, 60.0


class Dispatcher:
    """One thread that starts due submissions, and a pool of threads that carries them out.

    Several dispatchers can share a database, which holds the leases, the rate limit and the pause.
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
        # Due attempts to try next, until when to try them, and whether the query left some out.
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
        """Whether the thread runs and makes progress."""
        has_moved = time.monotonic() - self._moved_at < _DEAD_AFTER_SECONDS
        return self._loop.is_alive and has_moved

    def wake(self) -> None:
        """Wake the thread: an attempt may be due. Does nothing while no submission may start."""
        if time.monotonic() >= self._blocked_until:
            self._loop.wake()

    def stop(self) -> None:
        """Start nothing more. Wait until submissions in flight are answered and recorded."""
        self._loop.stop()
        self._pool.shutdown(wait=True)
        if self._listener is not None:
            self._listener.stop()
        self._forwarder.close()

    def _round(self) -> float:
        """Start what can be started. Returns the seconds to wait, unless woken earlier."""
        # 1. After a start, let a paused account be tried at once: the credentials may be new.
        if not self._has_probed:
            self._has_probed = True
            self._loop.outlive(lambda: self._database.write(rate_limit.probe_now))
        # 2. Note that this thread makes progress, and now and then record it in the database.
        self._blocked_until = 0.0
        self._moved_at = time.monotonic()
        if time.monotonic() >= self._say_alive_at:
            self._say_alive_at = time.monotonic() + _ALIVE_EVERY_SECONDS
            self._loop.outlive(self._say_alive)
        # 3. Take back expired leases and fire timers. An error here must not block submissions.
        if time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + _SWEEP_EVERY_SECONDS
            self._loop.outlive(self._sweep)
        # 4. Query for due attempts if none are left from the last query, or if it is too old.
        is_new = not self._found or time.monotonic() >= self._fresh_until
        if is_new:
            next_strike = self._find()
            if not self._found:
                return self._rest(next_strike)
        # 5. Start them one by one, until the pool is full or the rate limit or a pause says wait.
        while self._found:
            if self._loop.is_stopping or not self._free.acquire(blocking=False):
                return self._poll_seconds
            next_at = self._start_next()
            if next_at is not None:
                return self._wait_for_a_place(next_at)
        # 6. Query again at once, unless a complete query was used up just now.
        return self._poll_seconds if is_new and not self._are_there_more else 0.0

    def _say_alive(self) -> None:
        self._database.write(lambda connection: health.say_alive(connection, self._now()))

    def _find(self) -> datetime | None:
        """Query for due attempts. If there are none, return the time of the next timer."""
        self._aside_until = {i: at for i, at in self._aside_until.items() if at > time.monotonic()}
        most = _AT_ONCE + len(self._aside_until)
        with self._database.read() as connection:
            due = forwarding.due_attempts(connection, self._now(), most)
            # Those due longest come first. Take only the first of each customer.
            first: dict[str, str] = {}
            for attempt in due:
                if attempt.id not in self._aside_until:
                    first.setdefault(attempt.customer_id, attempt.id)
            next_strike = None if first else timers.next_timer_at(connection)
        found = list(first.values())
        if time.monotonic() < self._company_until:
            # Otherwise all workers would try the same attempts, and all but one would fail.
            random.shuffle(found)
        self._found = deque(found)
        self._are_there_more = len(due) == most
        self._fresh_until = time.monotonic() + _FRESH_SECONDS
        return next_strike

    def _start_next(self) -> datetime | None:
        """Try to start the next attempt found. The caller has reserved a thread of the pool.

        Returns the time before which no other submission may start, or None.
        """
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
        """Return the seconds to wait when nothing may start before ``next_at``."""
        seconds = max(0.005, (next_at - self._now()).total_seconds())
        self._place_at = time.monotonic() + seconds
        # At most one sleep: timers may expire, and another worker may end the pause.
        wait = min(seconds, _SLEEP_SECONDS) + self._spread.draw()
        self._blocked_until = time.monotonic() + wait
        return wait

    def _rest(self, next_strike: datetime | None) -> float:
        """Return the seconds to wait when nothing is due: until the next timer or query."""
        is_told = self._listener is not None and self._listener.is_listening
        longest = max(_SLEEP_SECONDS, self._poll_seconds) if is_told else self._poll_seconds
        if next_strike is None:
            return longest
        seconds = (next_strike - self._now()).total_seconds()
        if seconds <= 0:  # another worker has it, or the next sweep handles it
            return min(self._poll_seconds, max(0.001, self._sweep_at - time.monotonic()))
        return min(seconds + 0.001, longest)

    def _start(self, attempt_id: str) -> StartedSubmission | Deferred | None:
        """Start one attempt. The caller has reserved a thread of the pool. None after an error."""
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
            # An attempt that cannot be started must not block the others.
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
            # The answer may have ended a pause. A short wait for a slot need not be cut short.
            if self._blocked_until - time.monotonic() > _SOON_SECONDS or not self._blocked_until:
                self._loop.wake()

    def _sweep(self) -> None:
        """Take back attempts of dead workers, and fire expired timers."""
        now = self._now()
        with self._database.read() as connection:
            has_work = timers.is_anything_to_sweep(connection, now)
        if has_work:
            self._database.write(self._sweep_in)

    def _sweep_in(self, connection: Connection) -> None:
        now = self._now()
        forwarding.reclaim(connection, self._forwarder.policy, now, _AT_ONCE)
        timers.fire(connection, now, _AT_ONCE)
