"""Checks whether Gameball rewarded accepted attempts."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from app.domain.attempts import State
from app.domain.confirmation import ConfirmationPolicy
from app.gameball.client import GameballClient
from app.metrics import CONFIRMATIONS
from app.steps import confirmation, read_rate_limit
from app.steps.confirmation import Followed
from app.steps.read_rate_limit import ReadKind
from app.storage.errors import StorageUnavailable
from app.storage.listening import LOOK, Listener
from app.worker.campaign_names import CampaignNames
from app.worker.loop import Loop
from app.worker.paced_reader import Reader
from app.worker.reward_lookup import RewardLookup

log = structlog.get_logger(__name__)

_ADOPT_EVERY_SECONDS = 600.0
# The longest sleep: the clock may be set in the meantime.
_SLEEP_SECONDS = 5.0


class Confirmer:
    """One thread that confirms accepted attempts, and a pool of threads for the reads.

    Several confirmers can share a database, which holds the leases and the read rate limit. The
    time of an attempt's next look is its lease. If a confirmer dies, another one takes its
    attempts when their leases expire.
    """

    def __init__(
        self,
        reader: Reader,
        client: GameballClient,
        policy: ConfirmationPolicy,
        *,
        threads: int,
        poll_seconds: float,
        listens: bool = False,
    ) -> None:
        """``listens``: listen to the database for nudges that another process receives."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="look")
        self._reader = replace(reader, pool=self._pool)
        self._database = reader.database
        self._client = client
        self._policy = policy
        self._names = CampaignNames(client=client)
        self._threads = threads
        self._poll_seconds = poll_seconds
        self._now: Callable[[], datetime] = reader.now
        self._adopt_at = 0.0
        self._next_look: datetime | None = None
        self._loop = Loop("confirmer", self._act)
        listens = listens and not self._database.is_embedded
        self._listener = Listener(self._database.url, LOOK, self.wake) if listens else None

    def start(self) -> None:
        if self._listener is not None:
            self._listener.start()
        self._loop.start()

    def wake(self) -> None:
        """Wake the thread: an attempt may be due for a look."""
        self._loop.wake()

    def stop(self) -> None:
        """Start no more reads. Record the results of the reads in flight."""
        self._loop.stop()
        self._pool.shutdown(wait=True)
        if self._listener is not None:
            self._listener.stop()
        self._client.close()

    def round(self) -> bool:
        """Look at the due attempts of as many customers as there are threads.

        Returns whether to run again at once. After an interrupted read it is False: the next
        round would only lease all due attempts and put them off.
        """
        followed = self._taken()
        if not followed:
            return False
        began_at = self._now()
        looking = RewardLookup(
            client=self._client, reader=self._reader, names=self._names, followed=followed
        )
        looking.look(self._now, lambda: self._loop.is_stopping)
        for one in followed:
            try:
                self._record(one, looking, began_at)
            except StorageUnavailable:
                raise
            except Exception:
                # An error in one attempt must not block the others.
                log.exception("confirmation.failed", attempt=one.attempt_id)
        are_more = len({one.customer_id for one in followed}) == self._threads
        return are_more and not looking.interrupted

    def _act(self) -> float:
        return 0.0 if self.round() else self._rest()

    def _rest(self) -> float:
        """Return the seconds until the next look. A look that becomes due sooner wakes us."""
        longest = max(self._poll_seconds, min(self._policy.again_seconds, _SLEEP_SECONDS))
        if self._next_look is None:
            return longest
        seconds = (self._next_look - self._now()).total_seconds()
        # Another worker has the due attempts, or Gameball may not be read now.
        return min(seconds + 0.001, longest) if seconds > 0 else self._poll_seconds

    def _taken(self) -> list[Followed]:
        now = self._now()
        if time.monotonic() >= self._adopt_at:
            self._database.write(lambda c: confirmation.adopt(c, now))
            self._adopt_at = time.monotonic() + _ADOPT_EVERY_SECONDS
        with self._database.read() as connection:
            self._next_look = confirmation.next_look(connection)
            if self._next_look is None or self._next_look > now:
                return []
            if read_rate_limit.is_slow(connection, ReadKind.CUSTOMERS, now):
                return []
        return self._database.write(
            lambda c: confirmation.take(c, self._policy, now, self._threads)
        )

    def _record(self, one: Followed, looking: RewardLookup, began_at: datetime) -> None:
        """Record the result for one attempt.

        Losing it is safe: the attempt is due again when its lease expires.
        """
        if one.customer_id in looking.interrupted:
            self._database.write(lambda c: self._put_off(c, one))
            return
        seen = looking.seen[one.attempt_id]
        state = self._database.write(
            lambda c: confirmation.record(c, one, seen, self._policy, began_at, self._now())
        )
        if state is not State.ACCEPTED:
            CONFIRMATIONS.labels(state).inc()
            log.info("attempt.confirmed", attempt=one.attempt_id, outcome=state)

    def _put_off(self, connection: Connection, one: Followed) -> None:
        until = self._now() + timedelta(seconds=self._policy.again_seconds)
        confirmation.put_off(connection, one, until)
