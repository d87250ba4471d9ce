"""The whole state of the sandbox, safe to use from any thread."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from random import Random
from typing import Any

from app.sandbox.armed_faults import ArmedFaults
from app.sandbox.calls import Call, CallLog, InFlight
from app.sandbox.customers import Customer, Customers
from app.sandbox.replies import CONCURRENT, CUSTOMER_UNKNOWN, DUPLICATE, RefusalError, Reply
from app.sandbox.report import Report
from app.sandbox.rewards import Grant, Rewards
from app.sandbox.settings import Campaign, SandboxSettings
from app.sandbox.windows import RateWindows


class Books:
    """`now` gives seconds since 1970. Grants fall due by that clock alone, not by calls."""

    def __init__(
        self,
        settings: SandboxSettings | None = None,
        now: Callable[[], float] = time.time,
        seed: int | None = None,
    ) -> None:
        self.faults = ArmedFaults(Random(seed))
        self._settings = settings or SandboxSettings()
        self._now = now
        self._lock = threading.RLock()
        self._rates = RateWindows()
        self._log = CallLog()
        self._in_flight = InFlight()
        self._customers = Customers()
        self._rewards = Rewards(Random(seed))

    @property
    def settings(self) -> SandboxSettings:
        return self._settings

    def configure(self, **changes: Any) -> SandboxSettings:
        """Replace single settings, named as in SandboxSettings."""
        return self.reconfigure(lambda settings: replace(settings, **changes))

    def reconfigure(self, change: Callable[[SandboxSettings], SandboxSettings]) -> SandboxSettings:
        # Grants that fell due before the change are decided by the old settings.
        with self._settled():
            self._settings = change(self._settings)
            return self._settings

    def arrive(
        self,
        resource: str,
        endpoint: str,
        method: str,
        path: str,
        customer_id: str | None = None,
        challenge_id: int | None = None,
    ) -> Call:
        """Log a call and count it in its rate windows, unless they are full."""
        with self._lock:
            now = self._now()
            is_admitted = self._rates.admits(resource, self._settings.limit_of(resource), now)
            call = Call(
                at=now,
                endpoint=endpoint,
                method=method,
                path=path,
                customer_id=customer_id,
                challenge_id=challenge_id,
                is_admitted=is_admitted,
            )
            self._log.add(call)
            return call

    def finish(
        self, call: Call, reply: Reply | None, fault: str | None, *, has_landed: bool
    ) -> None:
        """Record a call's reply (None: none), and whether its achievement is registered."""
        with self._lock:
            call.fault, call.has_landed = fault, has_landed
            if reply is not None:
                call.status, call.code = reply.status, reply.code
            self._log.rate_limited += call.status == 429

    @contextmanager
    def processing(self, customer_id: str | None) -> Iterator[None]:
        """Hold the customer while a write is processed, and refuse other writes (2001)."""
        if customer_id is None:
            yield
            return
        with self._lock:
            is_first = self._in_flight.enter(customer_id) == 1
        try:
            if not is_first:
                raise RefusalError(CONCURRENT)
            yield
        finally:
            with self._lock:
                self._in_flight.leave(customer_id)

    def accept(self, customer_id: str, challenge_id: int) -> None:
        """Register an achievement: from here on it has landed."""
        with self._settled() as now:
            if self._customers.find(customer_id, self._settings) is None:
                raise RefusalError(CUSTOMER_UNKNOWN)
            if not self._rewards.accept(customer_id, challenge_id, self._settings, now):
                raise RefusalError(DUPLICATE)

    def customer(self, customer_id: str) -> Customer | None:
        with self._lock:
            return self._customers.find(customer_id, self._settings)

    def upsert(
        self, customer_id: str, attributes: Mapping[str, object], *, is_guest: bool = False
    ) -> Customer:
        with self._settled():
            return self._customers.upsert(customer_id, attributes, is_guest=is_guest)

    def is_eligible(self, customer_id: str) -> bool:
        with self._lock:
            return self._customers.can_earn(customer_id, self._settings)

    def can_achieve(self, customer_id: str, campaign: Campaign) -> bool:
        with self._settled():
            is_open = self._rewards.is_open(campaign, customer_id)
            return is_open and self.is_eligible(customer_id)

    def achieved_count(self, customer_id: str, challenge_id: int) -> int:
        with self._settled():
            return self._rewards.count(customer_id, challenge_id)

    def grants(self, customer_id: str | None = None) -> list[Grant]:
        """Return the grants that landed until now, oldest first."""
        with self._settled():
            if customer_id is None:
                return list(self._rewards.grants)
            return self._rewards.of(customer_id)

    def grants_after(self, number: int) -> list[Grant]:
        """Return the grants that landed after the grant with that number."""
        with self._settled():
            return self._rewards.grants[number:]

    def calls(self, limit: int = 100) -> list[Call]:
        """Return the newest calls, newest first."""
        with self._lock:
            return self._log.newest(limit)

    def report(self) -> Report:
        with self._settled():
            return Report(
                grants=tuple(self._rewards.grants),
                accepted=self._rewards.accepted,
                duplicates=self._rewards.duplicates,
                rate_limited=self._log.rate_limited,
                pending_grants=self._rewards.pending,
                max_per_second=self._log.per_second.highest,
                max_30_seconds=self._log.per_30_seconds.highest,
                concurrent_per_customer=self._in_flight.highest,
            )

    @contextmanager
    def _settled(self) -> Iterator[float]:
        with self._lock:
            now = self._now()
            self._rewards.settle(now, self._settings, self.is_eligible)
            yield now
