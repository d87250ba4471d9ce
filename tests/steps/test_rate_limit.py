"""Is Gameball ever called faster than it allows, or at all when it must not be?"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, create_engine, insert, select, update

from app.domain.answers import TREATMENTS, Answer, Outcome
from app.domain.attempts import State
from app.domain.clock import new_id
from app.steps import rate_limit
from app.steps.forwarding import Deferred
from app.steps.rate_limit import RateLimit, lock_forwarding, slots
from app.storage.tables import Base, ForwardingRow, SubmissionRow
from tests.clock import START, Clock
from tests.steps.world import LEASE, World

SLOW = (1, 2, 5, 10, 30)
PAUSING = [outcome for outcome in Outcome if TREATMENTS[outcome].pauses]
WORKING = [Outcome.ACCEPTED, Outcome.ECHO, Outcome.NO_CUSTOMER, Outcome.BUSY, Outcome.PERMANENT]


# The windows, whatever the latencies. A call may arrive at any moment between its start and its
# end; Gameball counts arrivals, in windows that begin whenever it likes.


@dataclass
class Call:
    started_at: float
    ended_at: float


@pytest.fixture(scope="module")
def ledger() -> Iterator[Engine]:
    """The tables in memory: nothing but the arithmetic is asked of them here."""
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


def simulate(
    engine: Engine, allowed: RateLimit, latencies: list[float], wake: random.Random
) -> list[Call]:
    """Call as often as the pace lets us; the ends come whenever the latencies say."""
    clock = Clock()
    calls: list[Call] = []
    open_calls: list[tuple[datetime, int]] = []
    with engine.connect() as connection:
        connection.execute(insert(ForwardingRow).values(id=1, slow_count=0))
        for latency in latencies:
            while True:
                _end_those_that_answered(connection, open_calls, clock.now())
                forwarding = lock_forwarding(connection, clock.now())
                turn = slots(connection, forwarding, allowed, clock.now())
                if turn.next_at is None:
                    break
                assert turn.next_at > clock.now()
                # Who is told to wait may come back too early as well: it must be told again.
                wait = (turn.next_at - clock.now()).total_seconds()
                clock.advance(wait * wake.choice([0.6, 1]) + 1e-4)
            ends_at = clock.now() + timedelta(seconds=latency)
            open_calls.append((ends_at, _started(connection, clock.now())))
            # Who has started is told when the next one may, as if it had asked.
            assert slots(connection, forwarding, allowed, clock.now()).next_at == turn.then_at
            calls.append(Call(_seconds(clock.now()), _seconds(ends_at)))
            clock.advance(wake.choice([0, 0, 0.001, 0.02]))
        connection.rollback()
    return calls


def _started(connection: Connection, now: datetime) -> int:
    row = {"attempt_id": new_id(now), "fence": 1, "round": 0, "worker": "w"}
    statement = insert(SubmissionRow).values(**row, started_at=now, resolved=False)
    return int(connection.execute(statement.returning(SubmissionRow.id)).scalar_one())


def _end_those_that_answered(
    connection: Connection, open_calls: list[tuple[datetime, int]], now: datetime
) -> None:
    for ends_at, number in [call for call in open_calls if call[0] <= now]:
        open_calls.remove((ends_at, number))
        connection.execute(
            update(SubmissionRow)
            .where(SubmissionRow.id == number)
            .values(ended_at=ends_at, outcome=Outcome.ACCEPTED)
        )


def _seconds(moment: datetime) -> float:
    return (moment - START).total_seconds()


def most_that_can_arrive(calls: list[Call], window: float) -> int:
    """The most calls that can have arrived within one window, however each one travelled.

    A call can arrive in a window exactly when its own time on the way touches that window. The
    worst window ends at the latest where some call starts.
    """
    return max(
        sum(call.started_at <= end and call.ended_at >= end - window for call in calls)
        for end in (call.started_at for call in calls)
    )


LATENCIES = st.lists(
    st.sampled_from([0.0, 0.001, 0.05, 0.3, 0.999, 1.0, 1.5, 5.0, 12.0]) | st.floats(0, 20),
    min_size=1,
    max_size=25,
)


@settings(max_examples=25)
@given(LATENCIES, st.integers(1, 4), st.integers(1, 9), st.randoms(use_true_random=False))
def test_no_window_ever_holds_more_than_is_allowed(
    ledger: Engine, latencies: list[float], second: int, thirty: int, wake: random.Random
) -> None:
    calls = simulate(ledger, RateLimit(second, thirty, 30), latencies, wake)

    assert most_that_can_arrive(calls, 1) <= second
    assert most_that_can_arrive(calls, 30) <= thirty


def test_the_pace_is_used_up_where_gameball_is_fast(ledger: Engine) -> None:
    # A limiter that never lets anybody through keeps every limit as well.
    calls = simulate(ledger, RateLimit(30, 90, 30), [0.001] * 100, random.Random(1))

    assert most_that_can_arrive(calls, 1) == 30
    assert most_that_can_arrive(calls, 30) == 90
    assert sum(call.started_at < 1 for call in calls) == 30
    assert sum(call.started_at < 5 for call in calls) == 90
    assert calls[-1].started_at < 32


# The same, seen from the step.


def full(world: World, count: int) -> list[str]:
    return [world.owed(f"a{i}", f"c{i}") for i in range(count)]


def test_a_full_second_makes_the_next_one_wait(world: World) -> None:
    world.paced(per_second=2)
    first, second, third = full(world, 3)
    world.submit(first, Outcome.ACCEPTED)
    world.submit(second, Outcome.ACCEPTED)

    until = world.try_start(third)
    world.clock.advance(1 + rate_limit.GUARD_SECONDS)

    assert until == Deferred(world.now)
    assert world.start(third)


def test_calls_on_their_way_take_places(world: World) -> None:
    world.paced(per_second=2)
    first, second, third = full(world, 3)
    made = world.start(first)
    world.start(second)
    world.clock.advance(10)

    blocked = world.try_start(third)
    world.finish(made, Outcome.ACCEPTED)
    world.clock.advance(1.2)

    assert isinstance(blocked, Deferred)
    assert blocked.next_at is not None
    assert world.now - timedelta(seconds=1.2) < blocked.next_at < world.now
    assert world.start(third)


def test_a_dead_workers_call_keeps_its_place_until_it_is_swept(world: World) -> None:
    world.paced(per_second=1)
    first, second = full(world, 2)
    world.start(first)
    world.clock.advance(LEASE + 1)

    before = world.try_start(second)
    world.reclaim()
    world.clock.advance(1.2)

    assert isinstance(before, Deferred)
    assert world.start(second)


def test_nothing_is_written_for_a_start_that_must_wait(world: World) -> None:
    world.paced(per_second=1)
    first, second = full(world, 2)
    world.start(first)

    world.try_start(second)

    attempt = world.attempt(second)
    assert (attempt.lease_until, attempt.fence) == (None, 0)
    assert world.submissions(second) == []


# The pause.


@pytest.mark.parametrize("outcome", PAUSING)
def test_a_refusal_of_our_account_stops_everybody(world: World, outcome: Outcome) -> None:
    first, second = full(world, 2)

    world.submit(first, Answer(outcome=outcome, status=401, code=1000, message="Unauthorized"))

    row = world.forwarding()
    assert row.paused_at == world.now
    assert row.pause_reason == f"{outcome} 401 1000 Unauthorized"
    assert world.try_start(second) == Deferred(world.now + timedelta(seconds=30))


def test_a_refused_attempt_loses_nothing_by_it(world: World) -> None:
    attempt_id = world.owed()
    for _ in range(20):
        world.submit(attempt_id, Outcome.BLOCKED)
        world.clock.advance(30)

    assert world.state(attempt_id) is State.DUE
    assert world.timeline(attempt_id) == ["due"]
    world.submit(attempt_id, Outcome.NOT_SENT)
    assert world.attempt(attempt_id).next_at == world.now + timedelta(seconds=2)


def test_one_probe_at_a_time_goes_out_while_paused(world: World) -> None:
    first, second, third = full(world, 3)
    world.submit(first, Outcome.BLOCKED)
    world.clock.advance(30)

    probe = world.start(second)
    others = [world.try_start(third)]
    world.clock.advance(30)  # the probe is still on its way
    others.append(world.try_start(third))
    world.finish(probe, Outcome.BLOCKED)
    others.append(world.try_start(third))

    assert all(isinstance(other, Deferred) and other.next_at is not None for other in others)
    world.clock.advance(30)
    assert world.start(third)


def test_a_start_that_comes_to_nothing_is_no_probe(world: World) -> None:
    first, second = full(world, 2)
    world.submit(first, Outcome.BLOCKED)
    world.clock.advance(30)

    world.try_start(new_id(world.now))

    assert world.start(second)


@pytest.mark.parametrize("outcome", WORKING)
def test_an_answer_of_a_working_account_ends_the_pause(world: World, outcome: Outcome) -> None:
    first, second, third = full(world, 3)
    world.submit(first, Outcome.BLOCKED)
    world.clock.advance(30)

    world.finish(world.start(second), outcome)

    row = world.forwarding()
    assert (row.paused_at, row.pause_reason, row.probe_at) == (None, None, None)
    assert world.start(third)


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - set(WORKING)))
def test_no_other_answer_ends_the_pause(world: World, outcome: Outcome) -> None:
    first, second = full(world, 2)
    world.submit(first, Outcome.BLOCKED)
    paused_at = world.now
    world.clock.advance(30)

    world.finish(world.start(second), outcome)

    assert world.forwarding().paused_at == paused_at


def test_an_answer_to_a_call_from_before_the_pause_does_not_end_it(world: World) -> None:
    first, second = full(world, 2)
    made = world.start(second)
    world.clock.advance(1)
    world.submit(first, Outcome.BLOCKED)

    world.finish(made, Outcome.ACCEPTED)

    assert world.forwarding().paused_at is not None
    assert world.state(second) is State.ACCEPTED


def test_new_credentials_are_tried_at_once(world: World) -> None:
    first, second = full(world, 2)
    world.submit(first, Outcome.BLOCKED)

    world.do(rate_limit.probe_now)

    assert world.start(second)


# A clock that was wrong.

DAY = 86_400


def test_a_clock_that_was_ahead_holds_up_nobody_once_it_is_right(world: World) -> None:
    world.paced(per_second=2)
    first, second, third, fourth = full(world, 4)
    world.clock.advance(DAY)
    world.submit(first, Outcome.ACCEPTED)
    world.submit(second, Outcome.TOO_FAST)
    world.clock.advance(-DAY)

    assert world.start(third)
    # Nor does it keep what is said now from being heard.
    world.finish(world.start(fourth), Outcome.TOO_FAST)
    blocked = world.try_start(second)
    assert isinstance(blocked, Deferred)
    assert blocked.next_at is not None
    assert timedelta() < blocked.next_at - world.now <= timedelta(seconds=5)


def test_a_pause_that_began_by_a_clock_ahead_ends_like_any_other(world: World) -> None:
    first, second = full(world, 2)
    world.clock.advance(DAY)
    world.submit(first, Outcome.BLOCKED)
    world.clock.advance(-DAY)

    world.finish(world.start(second), Outcome.ACCEPTED)

    assert world.forwarding().paused_at is None


# Too fast.


def test_being_told_too_fast_slows_everybody_more_and_more(world: World) -> None:
    [attempt_id] = full(world, 1)
    waits = []
    for _ in range(7):
        world.submit(attempt_id, Outcome.TOO_FAST)
        blocked = world.try_start(attempt_id)
        assert isinstance(blocked, Deferred)
        assert blocked.next_at is not None
        waits.append((blocked.next_at - world.now).total_seconds())
        world.clock.set(blocked.next_at)

    assert waits == [*SLOW, 30, 30]
    assert world.state(attempt_id) is State.DUE


def test_an_answer_in_time_forgets_how_slow_we_were(world: World) -> None:
    first, second = full(world, 2)
    for _ in range(3):
        world.submit(first, Outcome.TOO_FAST)
        world.clock.advance(31)
    world.submit(first, Outcome.ACCEPTED)

    world.submit(second, Outcome.TOO_FAST)

    assert world.forwarding().slow_until == world.now + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("retry_after", "seconds"), [(None, 1), (0, 1), (0.5, 1), (20, 20), (10**9, 3_600)]
)
def test_what_gameball_asks_for_is_honoured_within_reason(
    world: World, retry_after: float | None, seconds: float
) -> None:
    [attempt_id] = full(world, 1)

    world.submit(
        attempt_id, Answer(outcome=Outcome.TOO_FAST, status=429, retry_after_seconds=retry_after)
    )

    assert world.try_start(attempt_id) == Deferred(world.now + timedelta(seconds=seconds))


def test_a_late_refusal_for_speed_never_shortens_the_wait(world: World) -> None:
    first, second = full(world, 2)
    made, late = world.start(first), world.start(second)
    world.finish(made, Answer(outcome=Outcome.TOO_FAST, status=429, retry_after_seconds=20))
    until = world.forwarding().slow_until

    world.finish(late, Outcome.TOO_FAST)

    assert world.forwarding().slow_until == until


def test_the_row_of_the_account_says_when_a_worker_was_there(world: World) -> None:
    world.try_start(new_id(world.now))

    with world.database.read() as connection:
        seen_at = connection.execute(select(ForwardingRow.worker_seen_at)).scalar_one()
    assert seen_at == world.now
