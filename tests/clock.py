"""What time is it in a test? Whatever the test says."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 5, 12, 0, 0, 123_456, tzinfo=UTC)


class Clock:
    """A clock that only the test moves."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def nanoseconds(self) -> int:
        """The same, for what wants a `time.monotonic_ns`."""
        return (self._now - START) // timedelta(microseconds=1) * 1_000 + 10**18

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)

    def set(self, moment: datetime) -> None:
        self._now = moment
