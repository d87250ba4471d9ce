"""Accepted achievements, and the rewards that are granted for them later."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from app.sandbox.settings import SOCIAL, Campaign, SandboxSettings


@dataclass(frozen=True, kw_only=True)
class Grant:
    """A reward that landed; `number` identifies its transaction and its activity."""

    number: int
    customer_id: str
    campaign: Campaign
    at: float
    balance_before: int
    accepted_at: float  # when its achievement was registered

    @property
    def challenge_id(self) -> int:
        return self.campaign.id

    @property
    def points(self) -> int:
        return self.campaign.points

    @property
    def coupon(self) -> str | None:
        return self.campaign.coupon and f"{self.campaign.coupon}-{self.number}"


@dataclass(frozen=True, order=True, kw_only=True)
class Pending:
    due_at: float
    order: int
    customer_id: str
    challenge_id: int
    accepted_at: float


class Rewards:
    """Acceptances and grants as functions of the given time; the caller holds the lock."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._accepted_at: dict[tuple[str, int], float] = {}
        self._pending: list[Pending] = []
        self._by_customer: dict[str, list[Grant]] = defaultdict(list)
        self._counts: Counter[tuple[str, int]] = Counter()
        self.grants: list[Grant] = []
        self.accepted = 0
        self.duplicates = 0

    @property
    def pending(self) -> int:
        return len(self._pending)

    def of(self, customer_id: str) -> list[Grant]:
        return list(self._by_customer.get(customer_id, ()))

    def count(self, customer_id: str, challenge_id: int) -> int:
        return self._counts[customer_id, challenge_id]

    def accept(
        self, customer_id: str, challenge_id: int, settings: SandboxSettings, now: float
    ) -> bool:
        """Register an achievement; False if it repeats one inside the dedup window."""
        key = (customer_id, challenge_id)
        last = self._accepted_at.get(key)
        if last is not None and now < last + settings.dedup_window_seconds:
            self.duplicates += 1
            return False
        self._accepted_at[key] = now
        self.accepted += 1
        if settings.gameball_status is None:
            delay = settings.grant_delay_seconds + self._jitter(settings)
            pending = Pending(
                due_at=now + delay,
                order=self.accepted,
                customer_id=customer_id,
                challenge_id=challenge_id,
                accepted_at=now,
            )
            heapq.heappush(self._pending, pending)
        return True

    def settle(
        self, now: float, settings: SandboxSettings, can_earn: Callable[[str], bool]
    ) -> None:
        """Decide everything that fell due; ineligible achievements are dropped silently."""
        while self._pending and self._pending[0].due_at <= now:
            due = heapq.heappop(self._pending)
            campaign = settings.campaign(due.challenge_id)
            if campaign and can_earn(due.customer_id) and self.is_open(campaign, due.customer_id):
                self._grant(due, campaign)

    def is_open(self, campaign: Campaign, customer_id: str) -> bool:
        """Whether the campaign can be achieved (again) by a customer who can earn."""
        limit = campaign.max_achievement
        is_reached = customer_id not in campaign.out_of_reach
        is_used_up = limit != -1 and self.count(customer_id, campaign.id) >= limit
        is_on = campaign.is_active and campaign.type == SOCIAL
        return is_on and is_reached and not is_used_up

    def _grant(self, due: Pending, campaign: Campaign) -> None:
        mine = self._by_customer[due.customer_id]
        balance = mine[-1].balance_before + mine[-1].points if mine else 0
        number = len(self.grants) + 1
        grant = Grant(
            number=number,
            customer_id=due.customer_id,
            campaign=campaign,
            at=due.due_at,
            balance_before=balance,
            accepted_at=due.accepted_at,
        )
        mine.append(grant)
        self.grants.append(grant)
        self._counts[due.customer_id, campaign.id] += 1

    def _jitter(self, settings: SandboxSettings) -> float:
        return self._rng.uniform(0, settings.grant_jitter_seconds)
