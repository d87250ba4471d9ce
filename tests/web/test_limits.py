"""Who asks too often?"""

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.web.limits import Buckets, neighbourhood
from tests.clock import Clock


def test_a_minutes_allowance_is_there_at_once_and_then_comes_evenly(clock: Clock) -> None:
    buckets = Buckets(clock.nanoseconds)

    waits = [buckets.wait_seconds("ada", 6) for _ in range(8)]

    assert waits[:6] == [0.0] * 6
    assert waits[6:] == pytest.approx([10.0, 10.0])
    clock.advance(10)
    assert buckets.wait_seconds("ada", 6) == 0.0
    assert buckets.wait_seconds("ada", 6) == pytest.approx(10.0)


@pytest.mark.parametrize("per_minute", [1, 3, 7, 20, 59, 120, 333, 100_000])
def test_any_allowance_can_be_used_up_and_not_more(clock: Clock, per_minute: int) -> None:
    buckets = Buckets(clock.nanoseconds)

    taken = sum(buckets.wait_seconds("ada", per_minute) == 0.0 for _ in range(per_minute + 5))

    assert taken == per_minute


def test_being_refused_costs_nothing(clock: Clock) -> None:
    buckets = Buckets(clock.nanoseconds)
    for _ in range(100):
        buckets.wait_seconds("ada", 1)

    clock.advance(60)

    assert buckets.wait_seconds("ada", 1) == 0.0


def test_nobody_saves_up_more_than_a_minutes_allowance(clock: Clock) -> None:
    buckets = Buckets(clock.nanoseconds)
    buckets.wait_seconds("ada", 2)

    clock.advance(86_400)

    assert [buckets.wait_seconds("ada", 2) > 0 for _ in range(3)] == [False, False, True]


def test_each_key_has_its_own_bucket(clock: Clock) -> None:
    buckets = Buckets(clock.nanoseconds)
    buckets.wait_seconds("ada", 1)

    assert buckets.wait_seconds("bob", 1) == 0.0
    assert buckets.wait_seconds("ada", 1) > 0


def test_a_clock_that_steps_back_locks_nobody_out_for_longer_than_the_step(clock: Clock) -> None:
    buckets = Buckets(clock.nanoseconds)
    buckets.wait_seconds("ada", 1)

    clock.advance(-30)

    assert buckets.wait_seconds("ada", 1) == pytest.approx(90.0)


def test_invented_keys_do_not_grow_the_memory_and_the_busy_ones_are_kept(clock: Clock) -> None:
    buckets = Buckets(clock.nanoseconds, most_kept=100)
    buckets.wait_seconds("idle", 1)

    for number in range(10_000):
        buckets.wait_seconds("busy", 100_000)
        buckets.wait_seconds(f"invented {number}", 1)

    assert len(buckets) == 100
    assert buckets.wait_seconds("busy", 1) > 0
    assert buckets.wait_seconds("idle", 1) == 0.0


def test_threads_together_take_no_more_than_one_would(clock: Clock) -> None:
    buckets = Buckets(clock.nanoseconds)

    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: buckets.wait_seconds("ada", 50), range(2_000)))

    assert sum(wait == 0.0 for wait in waits) == 50


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:51312", "192.0.2.7"),
        (" 192.0.2.7 ", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("[::ffff:192.0.2.7]:443", "192.0.2.7"),
        ("unknown", "unknown"),
        ("", ""),
        ("[", "["),
        ("1.2.3.4.5", "1.2.3.4.5"),
    ],
)
def test_one_callers_addresses_are_one(address: str, counted_as: str) -> None:
    assert neighbourhood(address) == counted_as
