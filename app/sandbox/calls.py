"""The log of received calls and their replies."""

import uuid
from collections import Counter, deque
from dataclasses import dataclass, field, replace

from app.sandbox.windows import Peak

SOCIAL_CHALLENGES = "social-challenges"
# The values of a fault's `path`.
ENDPOINT_NAMES = (
    SOCIAL_CHALLENGES,
    "customers",
    "customer",
    "progress",
    "activities",
    "activities-count",
    "transactions",
    "campaigns",
)
CALLS_KEPT = 100_000


@dataclass(kw_only=True)
class Call:
    """A received call; `status` is None while it is open, and when no answer was sent."""

    at: float
    endpoint: str
    method: str
    path: str
    customer_id: str | None = None
    challenge_id: int | None = None
    is_admitted: bool = True
    status: int | None = None
    code: int | None = None
    fault: str | None = None
    has_landed: bool = False
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)


class CallLog:
    """The newest calls, and statistics of all; the caller holds the lock."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=CALLS_KEPT)
        self.per_second = Peak(1.0)
        self.per_30_seconds = Peak(30.0)
        self.rate_limited = 0

    def add(self, call: Call) -> None:
        self._calls.append(call)
        if call.endpoint == SOCIAL_CHALLENGES:
            self.per_second.add(call.at)
            self.per_30_seconds.add(call.at)

    def newest(self, limit: int) -> list[Call]:
        newest_first = reversed(self._calls)
        return [replace(call) for call, _ in zip(newest_first, range(limit), strict=False)]


class InFlight:
    """The customers that have a request in processing; the caller holds the lock."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self.highest = 0

    def enter(self, customer_id: str) -> int:
        self._open[customer_id] += 1
        self.highest = max(self.highest, self._open[customer_id])
        return self._open[customer_id]

    def leave(self, customer_id: str) -> None:
        self._open[customer_id] -= 1
        if not self._open[customer_id]:
            del self._open[customer_id]
