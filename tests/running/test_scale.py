"""Does the page about scale show what its simulation says?"""

from pathlib import Path

import pytest

from bench.scale import DAY, DAYS, MEASURED, Passed, simulate, table

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def weeks() -> dict[int, Passed]:
    return {times: simulate(times, MEASURED) for times in (1, 100, 1_000)}


def test_the_page_shows_the_table() -> None:
    assert table(MEASURED) in (ROOT / "docs/scale.md").read_text("utf-8")


def test_every_event_is_sent_or_waits(weeks: dict[int, Passed]) -> None:
    for times, week in weeks.items():
        sent = week.pace_used * DAYS * DAY * 12

        assert sent + week.waiting == pytest.approx(1_000 * times * DAYS, rel=1e-4)


def test_the_pace_is_never_exceeded(weeks: dict[int, Passed]) -> None:
    assert all(week.pace_used <= 1 for week in weeks.values())


def test_what_fits_the_pace_does_not_wait(weeks: dict[int, Passed]) -> None:
    assert weeks[1].longest_wait_seconds == 0
    # 35.2 arrive and 12 leave in a second, for ten minutes: what is over waits its turn.
    assert weeks[100].longest_wait_seconds == pytest.approx(600 * 23.2 / 12, rel=0.05)
