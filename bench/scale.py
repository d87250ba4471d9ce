"""What limits first when a shop grows: the intake, Gameball's pace, the disk or the history?

`python -m bench.scale` lets a week pass, second by second, for a small shop and for ten, a
hundred and a thousand times its load, from costs that the other benchmarks measured. Nothing in it
is random, so that the table in docs/scale.md can be held to it.
"""

import argparse
import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

DAY, DAYS = 86_400, 7
SMALL_SHOP_PER_DAY = 1_000
# One post makes a fifth of a day's actions happen within ten minutes; the rest follows the sun.
CAMPAIGN_SHARE, CAMPAIGN_AT, CAMPAIGN_SECONDS = 0.2, 18 * 3_600, 600
PER_SECOND, PER_30_SECONDS = 30, 360


_COLUMNS = (
    "load",
    "events a day",
    "in the busiest second",
    "of one machine's intake",
    "cores busy then",
    "longest wait for Gameball",
    "waiting after a week",
    "of the pace",
    "disk a year",
    "ten million after",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What was measured: see bench/README.md."""

    intake_per_second: float
    web_ms: float
    worker_ms: float
    bytes_per_attempt: float


MEASURED = Costs(intake_per_second=1_200, web_ms=0.8, worker_ms=13.5, bytes_per_attempt=2_100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """What became of a week."""

    times: int
    per_day: int
    busiest_second: float
    intake_used: float
    cores: float
    longest_wait_seconds: float
    waiting: int
    pace_used: float
    gigabytes_a_year: float
    days_to_ten_million: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in asdict(MEASURED).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=value)
    print(table(Costs(**vars(parser.parse_args()))))


def table(costs: Costs) -> str:
    """A week of all four sizes, as docs/scale.md shows it."""
    rows = [_row(simulate(times, costs)) for times in (1, 10, 100, 1_000)]
    head = f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}"
    return "\n".join([head, *rows])


def simulate(times: int, costs: Costs) -> Passed:
    """A week of ``times`` a small shop's load. Every event earns one award."""
    per_day = SMALL_SHOP_PER_DAY * times
    rates = list(_rates(per_day))
    busiest = max(rates)
    queue = _Queue()
    for second, arrived in enumerate(list(_whole(rates)) * DAYS):
        queue.pass_second(second, arrived)
    return Passed(
        times=times,
        per_day=per_day,
        busiest_second=busiest,
        intake_used=busiest / costs.intake_per_second,
        cores=(busiest * costs.web_ms + min(busiest, PER_SECOND) * costs.worker_ms) / 1_000,
        longest_wait_seconds=queue.longest_seconds,
        waiting=queue.waiting,
        pace_used=queue.sent / (DAYS * DAY * PER_30_SECONDS / 30),
        gigabytes_a_year=per_day * 365 * costs.bytes_per_attempt / 1e9,
        days_to_ten_million=10_000_000 / per_day,
    )


def _row(week: Passed) -> str:
    return (
        f"| {week.times}x | {week.per_day:,} | {week.busiest_second:.1f} | {week.intake_used:.1%}"
        f" | {week.cores:.2f} | {_span(week.longest_wait_seconds)} | {week.waiting:,}"
        f" | {week.pace_used:.1%} | {week.gigabytes_a_year:,.1f} GB"
        f" | {_days(week.days_to_ten_million)} |"
    )


def _whole(rates: Iterable[float]) -> Iterator[int]:
    """Whole events for each second; what is left over counts in the next one."""
    carried = 0.0
    for rate in rates:
        carried += rate
        arrived = math.floor(carried + 1e-9)
        carried -= arrived
        yield arrived


def _rates(per_day: int) -> Iterator[float]:
    """Events in each second of the day: quiet before dawn, twice the mean in the evening."""
    steady = per_day * (1 - CAMPAIGN_SHARE) / DAY
    campaign = per_day * CAMPAIGN_SHARE / CAMPAIGN_SECONDS
    for second in range(DAY):
        sun = 1 - math.cos(2 * math.pi * (second / DAY - 6 / 24))
        is_on = CAMPAIGN_AT <= second < CAMPAIGN_AT + CAMPAIGN_SECONDS
        yield steady * sun + (campaign if is_on else 0)


class _Queue:
    """What waits for Gameball, the oldest first, and its two windows in whole seconds."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, int]] = deque()
        self._went: deque[tuple[int, int]] = deque()
        self._in_30 = 0
        self.sent = 0
        self.longest_seconds = 0

    @property
    def waiting(self) -> int:
        return sum(count for _, count in self._waiting)

    def pass_second(self, now: int, arrived: int) -> None:
        if arrived:
            self._waiting.append((now, arrived))
        while self._went and self._went[0][0] <= now - 30:
            self._in_30 -= self._went.popleft()[1]
        going = self._take(now, min(PER_SECOND, PER_30_SECONDS - self._in_30))
        self._went.append((now, going))
        self._in_30 += going
        self.sent += going

    def _take(self, now: int, most: int) -> int:
        gone = 0
        while self._waiting and gone < most:
            since, count = self._waiting.popleft()
            taken = min(count, most - gone)
            gone += taken
            self.longest_seconds = max(self.longest_seconds, now - since)
            if taken < count:
                self._waiting.appendleft((since, count - taken))
        return gone


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3600:.1f} h"


def _days(days: float) -> str:
    return f"{days:.0f} days" if days < 400 else f"{days / 365:.0f} years"


if __name__ == "__main__":
    main()
