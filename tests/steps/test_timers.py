"""Does each state's own clock strike when its time has come, and not before?"""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from app.domain.answers import Outcome
from app.domain.attempts import State
from app.steps import timers
from tests.clock import START
from tests.steps.world import FOLLOW, LEASE, MONTH, World, believed

HELD = replace(FOLLOW, hold_seconds=60)


def is_anything_to_sweep(world: World) -> bool:
    with world.database.read() as connection:
        return timers.is_anything_to_sweep(connection, world.now)


def waiting(world: World, state: State) -> tuple[str, float]:
    """An attempt in a state with a clock, and the seconds until it strikes."""
    if state is State.HELD:
        world.link()
        world.receive(world.event(), rules=(HELD,))
        return world.ids()[0], 60
    if state is State.UNLINKED:
        world.receive(world.event())
        return world.ids()[0], MONTH.total_seconds()
    return world.claim()[0], timedelta(days=7).total_seconds()


@pytest.mark.parametrize(
    ("state", "then"),
    [
        (State.HELD, State.DUE),
        (State.UNLINKED, State.EXPIRED),
        (State.CHECKING, State.EXPIRED),
    ],
)
def test_a_wait_ends_when_its_time_has_come(world: World, state: State, then: State) -> None:
    attempt_id, seconds = waiting(world, state)
    world.clock.advance(seconds - 0.001)
    before = (is_anything_to_sweep(world), world.strike(), world.state(attempt_id))
    world.clock.advance(0.001)

    assert before == (False, 0, state)
    assert is_anything_to_sweep(world)
    assert world.strike() == 1
    assert world.timeline(attempt_id)[-2:] == [state, then]
    assert world.last_change(attempt_id).caused_by == "clock"
    assert not is_anything_to_sweep(world)
    assert world.strike() == 0


def test_a_hold_that_is_over_does_not_wait_behind_what_expires_by_the_thousand(
    world: World,
) -> None:
    world.receive(*(world.event(actor=f"stranger-{number}") for number in range(3)))
    world.clock.advance(MONTH.total_seconds())
    world.link()
    world.receive(world.event(), rules=(HELD,))
    world.clock.advance(HELD.hold_seconds)

    world.do(lambda c: timers.fire(c, world.now, 1))

    assert world.state(world.ids()[-1]) is State.DUE


def test_what_was_held_is_due_at_once(world: World) -> None:
    attempt_id, seconds = waiting(world, State.HELD)
    world.clock.advance(seconds)

    world.strike()

    assert world.due() == [attempt_id]


def test_a_claim_that_was_paid_for_meanwhile_is_a_duplicate(world: World) -> None:
    claim_id, seconds = waiting(world, State.CHECKING)
    world.claim(believed(FOLLOW))
    world.clock.advance(seconds)

    world.strike()

    assert world.state(claim_id) is State.DUPLICATE


@pytest.mark.parametrize("state", [State.HELD, State.UNLINKED, State.CHECKING])
def test_a_cancelled_wait_never_strikes(world: World, state: State) -> None:
    attempt_id, seconds = waiting(world, state)
    world.cancel(attempt_id)
    world.clock.advance(seconds + 1)

    assert world.strike() == 0
    assert world.state(attempt_id) is State.WITHDRAWN


def test_no_more_are_struck_at_once_than_asked_for(world: World) -> None:
    world.receive(*(world.event(actor=str(i)) for i in range(5)))
    world.clock.advance(MONTH.total_seconds())

    counts = [world.do(lambda c: timers.fire(c, world.now, 2)) for _ in range(4)]

    assert counts == [2, 2, 1, 0]
    assert set(world.states()) == {"expired"}


def test_a_due_attempt_is_not_the_clocks(world: World) -> None:
    attempt_id = world.owed()
    world.clock.advance(10**6)

    assert not is_anything_to_sweep(world)
    assert world.strike() == 0
    assert world.state(attempt_id) is State.DUE


def test_a_lease_that_ran_out_is_to_be_swept(world: World) -> None:
    world.start(world.owed())
    world.clock.advance(LEASE)
    before = is_anything_to_sweep(world)
    world.clock.advance(0.001)

    assert not before
    assert is_anything_to_sweep(world)


def next_strike(world: World) -> datetime | None:
    with world.database.read() as connection:
        return timers.next_timer_at(connection)


def test_a_worker_may_sleep_for_ever_where_nothing_waits(world: World) -> None:
    assert next_strike(world) is None


@pytest.mark.parametrize("state", [State.HELD, State.UNLINKED, State.CHECKING])
def test_a_worker_may_sleep_until_the_next_clock_strikes(world: World, state: State) -> None:
    _, seconds = waiting(world, state)

    assert next_strike(world) == world.now + timedelta(seconds=seconds)


def test_a_worker_may_sleep_until_the_next_retry_or_lease(world: World) -> None:
    attempt_id = world.owed()
    due_at = next_strike(world)
    world.submit(attempt_id, Outcome.UNKNOWN)
    retry_at = next_strike(world)
    world.clock.advance(2)
    world.start(attempt_id)
    world.clock.advance(1)

    assert due_at == START
    assert retry_at == START + timedelta(seconds=2)
    # The attempt itself is in the past: in somebody's hands, until his lease runs out.
    assert next_strike(world) == START + timedelta(seconds=2)
