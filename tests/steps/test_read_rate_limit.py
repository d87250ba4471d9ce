"""Are reads kept to their pace, whoever makes them, and however long they take?"""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.steps import read_rate_limit
from app.steps.read_rate_limit import ReadKind, ReadRateLimit, Reserved
from app.storage.tables import ReadingRow, ReadRow
from tests.steps.world import World

PACE = ReadRateLimit(
    {ReadKind.CUSTOMERS: (10, 25), ReadKind.TRANSACTIONS: (1, 1), ReadKind.OTHERS: (1, 1)}
)
LONGEST = 20.0
DAY = 86_400


def reserve(world: World, most: int, kind: ReadKind = ReadKind.CUSTOMERS) -> Reserved | None:
    until = world.now + timedelta(seconds=LONGEST)
    return world.do(lambda c: read_rate_limit.reserve(c, kind, most, PACE, until, world.now))


def give_back(world: World, reserved: Reserved) -> None:
    world.do(lambda c: read_rate_limit.release(c, reserved, world.now))


def slow(world: World, reserved: Reserved, seconds: float | None = None) -> None:
    world.do(lambda c: read_rate_limit.slow(c, reserved, seconds, world.now))


def test_no_more_are_given_than_there_is_room_for(world: World) -> None:
    first, second, third = reserve(world, 7), reserve(world, 7), reserve(world, 7)

    assert first is not None
    assert second is not None
    assert (first.count, second.count, third) == (7, 3, None)


def test_each_kind_has_a_pace_of_its_own(world: World) -> None:
    assert reserve(world, 10) is not None
    assert reserve(world, 1, ReadKind.TRANSACTIONS) is not None
    assert reserve(world, 1, ReadKind.TRANSACTIONS) is None
    assert reserve(world, 1, ReadKind.OTHERS) is not None


def test_a_read_counts_until_its_window_after_its_end(world: World) -> None:
    reserved = reserve(world, 10)
    assert reserved is not None
    world.clock.advance(5)
    give_back(world, reserved)
    world.clock.advance(1)
    too_early = reserve(world, 1)
    world.clock.advance(0.1)

    assert too_early is None
    assert reserve(world, 1) is not None


def test_the_long_window_counts_too(world: World) -> None:
    for _ in range(2):
        reserved = reserve(world, 10)
        assert reserved is not None
        give_back(world, reserved)
        world.clock.advance(2)

    last = reserve(world, 10)

    assert last is not None
    assert last.count == 5


def test_what_a_dead_worker_reserved_ends_with_its_lease(world: World) -> None:
    assert reserve(world, 10) is not None
    world.clock.advance(LONGEST)
    before = reserve(world, 1)
    world.clock.advance(1.1)

    assert before is None
    assert reserve(world, 1) is not None


def test_slowness_grows_and_obeys_what_gameball_says(world: World) -> None:
    waits = []
    for asked in (None, None, None, 100.0):
        reserved = reserve(world, 1)
        assert reserved is not None
        give_back(world, reserved)
        slow(world, reserved, asked)
        until = _slow_until(world)
        waits.append((until - world.now).total_seconds())
        assert reserve(world, 1) is None
        world.clock.set(until)

    assert waits == [1, 2, 5, 100]


def test_answers_that_were_on_their_way_together_are_one_slowness(world: World) -> None:
    first, second = reserve(world, 1), reserve(world, 1)
    assert first is not None
    assert second is not None
    world.clock.advance(0.1)
    slow(world, first)
    until = _slow_until(world)
    slow(world, second)

    assert _slow_until(world) == until


def test_a_read_that_went_well_ends_a_slowness_it_did_not_see(world: World) -> None:
    early = reserve(world, 1)
    assert early is not None
    slow(world, early)
    world.do(lambda c: read_rate_limit.went_well(c, early))
    world.clock.advance(2)
    later = reserve(world, 1)
    assert later is not None
    slow(world, later)
    second = _slow_until(world) - world.now
    world.clock.advance(3)
    well = reserve(world, 1)
    assert well is not None
    world.do(lambda c: read_rate_limit.went_well(c, well))
    slow(world, well)

    assert second == timedelta(seconds=2)
    assert _slow_until(world) - world.now == timedelta(seconds=1)


def test_old_reads_are_forgotten(world: World) -> None:
    for _ in range(5):
        assert reserve(world, 1) is not None
        world.clock.advance(120)

    assert len(world.all(ReadRow)) == 1


def test_a_share_leaves_room_for_others() -> None:
    assert PACE.share(0.5).limits[ReadKind.CUSTOMERS] == (5, 12)
    assert PACE.share(0.5).limits[ReadKind.OTHERS] == (1, 1)


def test_many_at_once_are_given_no_more_than_one(world: World) -> None:
    with ThreadPoolExecutor(8) as pool:
        given_out = list(pool.map(lambda _: reserve(world, 3), range(8)))

    assert sum(one.count for one in given_out if one is not None) == 10


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(st.integers(1, 12), st.floats(0, 5), st.floats(0, 3), st.booleans()),
        min_size=1,
        max_size=25,
    )
)
def test_no_window_holds_more_than_the_limit_whenever_the_calls_arrive(
    sqlite_world: World, plan: list[tuple[int, float, float, bool]]
) -> None:
    """A call arrives somewhere between its start and its end: at both ends, for the worst."""
    world = sqlite_world
    world.clock.advance(1_000)
    arrivals: list[datetime] = []
    for most, takes, pause, is_late in plan:
        reserved = reserve(world, most)
        started_at = world.now
        world.clock.advance(takes)
        if reserved is not None:
            arrivals += [world.now if is_late else started_at] * reserved.count
            give_back(world, reserved)
        world.clock.advance(pause)

    for seconds, most in ((1, 10), (30, 25)):
        for at in arrivals:
            end = at + timedelta(seconds=seconds)
            assert sum(at <= one < end for one in arrivals) <= most


def _slow_until(world: World) -> datetime:
    [row] = world.all(ReadingRow)
    until: datetime = row.slow_until
    return until


def test_a_clock_that_was_ahead_holds_up_no_reads_once_it_is_right(world: World) -> None:
    world.clock.advance(DAY)
    reserve(world, 5)
    reserved = reserve(world, 5)
    assert reserved is not None
    slow(world, reserved, 30)
    world.clock.advance(-DAY)

    assert not world.do(lambda c: read_rate_limit.is_slow(c, ReadKind.CUSTOMERS, world.now))
    assert reserve(world, 10) is not None
