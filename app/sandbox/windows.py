"""Count calls in sliding time windows."""

from collections import deque

from app.sandbox.settings import Limit


class SlidingCount:
    """Counts events in the half-open span (now - seconds, now]; times must not go back."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._times: deque[float] = deque()

    def add(self, now: float) -> None:
        self._times.append(now)

    def count(self, now: float) -> int:
        while self._times and self._times[0] <= now - self._seconds:
            self._times.popleft()
        return len(self._times)


class Peak:
    """The largest number of events in any sliding span so far."""

    def __init__(self, seconds: float) -> None:
        self._recent = SlidingCount(seconds)
        self.highest = 0

    def add(self, now: float) -> None:
        self._recent.add(now)
        self.highest = max(self.highest, self._recent.count(now))


class RateWindows:
    """The two windows of every resource class; a refused call does not count in them."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[SlidingCount, SlidingCount]] = {}

    def admits(self, resource: str, limit: Limit, now: float) -> bool:
        """Whether a call arriving now is within the limit; if so, it is counted."""
        new = (SlidingCount(1.0), SlidingCount(30.0))
        second, half_minute = self._windows.setdefault(resource, new)
        if second.count(now) >= limit.per_second or half_minute.count(now) >= limit.per_30_seconds:
            return False
        second.add(now)
        half_minute.add(now)
        return True
