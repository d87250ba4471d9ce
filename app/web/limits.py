"""Rate limits and concurrency limits, for each process."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from threading import Condition, Lock

_SECOND = 1_000_000_000
_MINUTE = 60 * _SECOND
MOST_KEPT = 20_000


class Buckets:
    """Token buckets by key: a minute's allowance at once, then refilled evenly.

    A bucket is one number, the nanosecond at which it is full again. Only the last used
    ``most_kept`` are remembered, so that invented keys do not exhaust memory.
    """

    def __init__(
        self, clock: Callable[[], int] = time.monotonic_ns, most_kept: int = MOST_KEPT
    ) -> None:
        self._clock = clock
        self._most_kept = most_kept
        self._full_at: OrderedDict[str, int] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._full_at)

    def wait_seconds(self, key: str, per_minute: int) -> float:
        """Take one token: 0.0, or the seconds until there is one."""
        with self._lock:
            now = self._clock()
            full_at = max(now, self._full_at.get(key, now)) + _MINUTE // per_minute
            wait = full_at - now - _MINUTE
            if wait > 0:
                return wait / _SECOND
            self._full_at[key] = full_at
            self._full_at.move_to_end(key)
            if len(self._full_at) > self._most_kept:
                self._full_at.popitem(last=False)
            return 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Separate buckets for customers and addresses: invented addresses cannot evict customers."""

    addresses: Buckets = field(default_factory=Buckets)
    customers: Buckets = field(default_factory=Buckets)


def neighbourhood(address: str) -> str:
    """Return the range that one caller controls: an IPv4 address, or an IPv6 /64.

    Some proxies append a port to the address.
    """
    bare = address.strip().removeprefix("[").split("]")[0]
    host, colon, _port = bare.partition(":")
    bare = host if colon and "." in host else bare
    try:
        parsed = ip_address(bare)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"


class Full(Exception):  # noqa: N818 -- reads as the claim it makes
    """All slots are taken."""


class Places:
    """A bounded number of slots; later callers wait a little."""

    def __init__(self) -> None:
        self._taken = 0
        self._change = Condition()

    def take(self, most: int, wait_seconds: float) -> None:
        """Take a slot, or raise `Full`. ``most`` may change with a new configuration."""
        with self._change:
            if not self._change.wait_for(lambda: self._taken < most, wait_seconds):
                raise Full
            self._taken += 1

    def give_back(self) -> None:
        with self._change:
            self._taken -= 1
            self._change.notify()
