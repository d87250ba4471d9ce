"""The sliding windows against a model that forgets nothing."""

from hypothesis import given
from hypothesis import strategies as st

from app.sandbox.settings import Limit
from app.sandbox.windows import Peak, RateWindows, SlidingCount

# Eighths of a second are exact in binary, so that the edges are hit exactly.
gaps = st.lists(st.integers(0, 40).map(lambda eighths: eighths / 8), max_size=80)


def times_of(pauses: list[float]) -> list[float]:
    now, times = 1000.0, []
    for pause in pauses:
        now += pause
        times.append(now)
    return times


def within(times: list[float], now: float, seconds: float) -> int:
    return sum(1 for time in times if now - seconds < time <= now)


@given(gaps, st.sampled_from([0.5, 1.0, 30.0]))
def test_a_sliding_count_is_what_counting_everything_again_would_give(
    pauses: list[float], seconds: float
) -> None:
    times = times_of(pauses)
    count = SlidingCount(seconds)

    for position, now in enumerate(times):
        count.add(now)

        assert count.count(now) == within(times[: position + 1], now, seconds)


@given(gaps, st.sampled_from([1.0, 30.0]))
def test_a_peak_is_the_fullest_window_that_ends_at_any_arrival(
    pauses: list[float], seconds: float
) -> None:
    times = times_of(pauses)
    peak = Peak(seconds)

    for now in times:
        peak.add(now)

    assert peak.highest == max((within(times, now, seconds) for now in times), default=0)


@given(gaps, st.integers(1, 5), st.integers(1, 12))
def test_a_call_is_admitted_exactly_while_both_windows_have_room(
    pauses: list[float], per_second: int, per_30_seconds: int
) -> None:
    limit = Limit(per_second, per_30_seconds)
    windows = RateWindows()
    admitted: list[float] = []

    for now in times_of(pauses):
        has_second = within(admitted, now, 1.0) < per_second
        has_half_minute = within(admitted, now, 30.0) < per_30_seconds

        is_admitted = windows.admits("others", limit, now)

        assert is_admitted == (has_second and has_half_minute)
        admitted += [now] * is_admitted


def test_a_call_leaves_its_window_exactly_when_the_span_is_over() -> None:
    count = SlidingCount(1.0)
    count.add(1000.0)

    assert count.count(1000.875) == 1
    assert count.count(1001.0) == 0


def test_resource_classes_do_not_share_their_windows() -> None:
    windows = RateWindows()
    limit = Limit(per_second=1)

    assert windows.admits("transactions", limit, 1000.0)
    assert not windows.admits("transactions", limit, 1000.0)
    assert windows.admits("customersGet", limit, 1000.0)
