"""What may a person do, and can they pay twice by it?"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from app.domain.answers import Outcome
from app.domain.attempts import CANCELLABLE, REPLAYABLE, State
from app.domain.clock import new_id
from app.steps.forwarding import StartedSubmission, must_look_first
from app.steps.operator_actions import NotAllowed
from tests.steps.conftest import on_sqlite
from tests.steps.world import AT_LEAST, FOLLOW, LEASE, World

NOBODY = "00000000-0000-7000-8000-000000000000"


def put_into(world: World, state: State) -> str:
    """An attempt in a state, with an award as the state has it."""
    if state is State.UNLINKED:
        world.receive(world.event(actor="7"))
        return world.ids()[-1]
    if state is State.CHECKING:
        return world.claim(customer="cleo")[0]
    attempt_id = world.owed()
    if state is State.DEAD:
        world.submit(attempt_id, Outcome.PERMANENT)
    elif state is not State.DUE:
        world.confirmed_as(attempt_id, state)
    return attempt_id


# Replaying.


def test_a_dead_attempt_is_owed_again_with_a_fresh_schedule(world: World) -> None:
    attempt_id = world.owed()
    world.retrying(schedules={**world.policy.retries.schedules, "retry": (2,)})
    world.submit(attempt_id, Outcome.NOT_SENT)
    world.submit(attempt_id, Outcome.NOT_SENT)
    dead = world.state(attempt_id)
    world.clock.advance(60)

    replayed = world.replay(attempt_id)

    assert (dead, replayed) == (State.DEAD, State.DUE)
    attempt = world.attempt(attempt_id)
    assert (attempt.next_at, attempt.round) == (world.now, 1)
    assert world.timeline(attempt_id) == ["due", "dead", "due"]
    assert world.last_change(attempt_id).caused_by == "key:2 sam"
    world.submit(attempt_id, Outcome.NOT_SENT)
    assert world.state(attempt_id) is State.DUE


@pytest.mark.parametrize("state", sorted(REPLAYABLE))
def test_what_may_be_replayed_is_owed_again(world: World, state: State) -> None:
    attempt_id = put_into(world, state)

    assert world.replay(attempt_id) is State.DUE
    assert world.due() == [attempt_id]
    assert len(world.awards()) == 1


@on_sqlite
@pytest.mark.parametrize("state", sorted(set(State) - REPLAYABLE))
def test_nothing_else_may_be_replayed(world: World, state: State) -> None:
    attempt_id = put_into(world, state)
    before = world.attempt(attempt_id)

    with pytest.raises(NotAllowed, match=state):
        world.replay(attempt_id)

    assert world.attempt(attempt_id) == before


def test_what_is_not_there_is_neither_replayed_nor_cancelled(world: World) -> None:
    assert world.replay(NOBODY) is None
    assert world.cancel(NOBODY) is None


def test_a_replay_respects_an_award_that_went_to_another(world: World) -> None:
    # However its award came to be free: who is in the ledger by now stays there.
    attempt_id = put_into(world, State.DEAD)
    world.free_award(attempt_id)
    other = world.owed()

    with pytest.raises(NotAllowed, match="another attempt"):
        world.replay(attempt_id)

    assert world.state(attempt_id) is State.DEAD
    assert world.state(other) is State.DUE
    assert len(world.awards()) == 1


def test_a_replay_enters_the_award_again_where_it_was_freed(world: World) -> None:
    attempt_id = put_into(world, State.DEAD)
    world.free_award(attempt_id)

    world.replay(attempt_id)
    second = world.receive(world.event())

    assert second[0].states == (State.DUPLICATE,)


def test_a_replay_of_what_may_have_landed_looks_before_it_sends(world: World) -> None:
    attempt_id = world.owed()
    world.submit(attempt_id, Outcome.UNKNOWN)
    world.submit(attempt_id, Outcome.PERMANENT)
    world.clock.advance(AT_LEAST)
    world.replay(attempt_id)

    made = world.start(attempt_id)

    assert must_look_first(made, world.policy, world.now)


@pytest.mark.parametrize("outcome", [Outcome.ACCEPTED, Outcome.PROGRAM_DISABLED])
@pytest.mark.parametrize("state", [State.UNCONFIRMED, State.NOT_GRANTED])
def test_a_replay_of_what_gameball_accepted_looks_before_it_sends(
    world: World, outcome: Outcome, state: State
) -> None:
    attempt_id = world.owed()
    world.submit(attempt_id, outcome)
    world.confirmed_as(attempt_id, state)
    world.clock.advance(86_400)
    world.replay(attempt_id)

    made = world.start(attempt_id)

    assert must_look_first(made, world.policy, world.now)


def test_an_echo_right_after_a_replay_is_taken_for_what_it_is(world: World) -> None:
    attempt_id = world.owed()
    world.submit(attempt_id, Outcome.ACCEPTED)
    world.confirmed_as(attempt_id, State.UNCONFIRMED)
    world.replay(attempt_id)

    world.submit(attempt_id, Outcome.ECHO)

    assert world.state(attempt_id) is State.ACCEPTED


def test_a_late_acceptance_of_a_dead_attempt_is_not_paid_again_by_its_replay(
    world: World,
) -> None:
    attempt_id = world.owed()
    world.retrying(schedules={**world.policy.retries.schedules, "retry": ()})
    lost = world.start(attempt_id)
    world.clock.advance(LEASE + 1)
    world.reclaim()
    dead = world.state(attempt_id)
    world.finish(lost, Outcome.ACCEPTED)
    world.clock.advance(3_600)
    world.replay(attempt_id)

    made = world.start(attempt_id)

    assert dead is State.DEAD
    assert must_look_first(made, world.policy, world.now)


def test_two_people_replay_at_once_and_it_is_replayed_once(world: World) -> None:
    attempt_id = put_into(world, State.DEAD)

    def replay(_: int) -> bool:
        try:
            return world.replay(attempt_id) is State.DUE
        except NotAllowed:
            return False

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(replay, range(4)))

    assert sum(outcomes) == 1
    assert world.attempt(attempt_id).round == 1


# Cancelling.


@pytest.mark.parametrize("state", sorted(CANCELLABLE - {State.HELD}))
def test_what_is_not_paid_may_be_cancelled_and_frees_its_award(world: World, state: State) -> None:
    attempt_id = put_into(world, state)

    assert world.cancel(attempt_id) is State.WITHDRAWN
    assert world.timeline(attempt_id)[-1] == "withdrawn"
    assert world.attempt(attempt_id).next_at is None
    assert world.awards() == []
    assert world.due() == []


def test_what_is_held_may_be_cancelled_and_earned_anew(world: World) -> None:
    world.link()
    rules = (replace(FOLLOW, hold_seconds=60),)
    world.receive(world.event(), rules=rules)

    world.cancel(world.ids()[0])
    again = world.receive(world.event(), rules=rules)

    assert again[0].states == (State.HELD,)


@on_sqlite
@pytest.mark.parametrize("state", sorted(set(State) - CANCELLABLE))
def test_nothing_else_may_be_cancelled(world: World, state: State) -> None:
    attempt_id = put_into(world, state)
    before = world.attempt(attempt_id)

    with pytest.raises(NotAllowed, match=state):
        world.cancel(attempt_id)

    assert world.attempt(attempt_id) == before
    assert len(world.awards()) == (state is not State.CHECKING)


def test_what_is_on_its_way_is_not_cancelled(world: World) -> None:
    attempt_id = world.owed()
    made = world.start(attempt_id)

    with pytest.raises(NotAllowed, match="in flight"):
        world.cancel(attempt_id)

    world.finish(made, Outcome.ACCEPTED)
    assert world.state(attempt_id) is State.ACCEPTED


def test_what_a_dead_worker_left_on_its_way_is_not_cancelled_before_it_is_swept(
    world: World,
) -> None:
    attempt_id = world.owed()
    world.start(attempt_id)
    world.clock.advance(LEASE * 10)

    with pytest.raises(NotAllowed):
        world.cancel(attempt_id)

    world.reclaim()
    assert world.cancel(attempt_id) is State.WITHDRAWN


@pytest.mark.parametrize("outcome", Outcome)
def test_an_award_is_freed_only_when_nothing_can_have_landed(
    world: World, outcome: Outcome
) -> None:
    attempt_id = world.owed()
    world.submit(attempt_id, outcome)
    may_have_landed = outcome in (Outcome.UNKNOWN, Outcome.ACCEPTED, Outcome.PROGRAM_DISABLED)
    if world.state(attempt_id) is State.ACCEPTED:
        world.confirmed_as(attempt_id, State.UNCONFIRMED)
        world.replay(attempt_id)

    world.cancel(attempt_id)

    assert len(world.awards()) == may_have_landed
    again = world.receive(world.event())
    assert again[0].states == ((State.DUPLICATE if may_have_landed else State.DUE),)


def test_an_award_is_freed_once_the_progress_told_that_nothing_landed(world: World) -> None:
    attempt_id = world.owed()
    world.submit(attempt_id, Outcome.UNKNOWN)
    world.clock.advance(3_600)
    made = world.start(attempt_id)
    world.never_landed(made)
    world.finish(made, Outcome.NOT_SENT)

    world.cancel(attempt_id)

    assert world.awards() == []


def test_an_answer_that_comes_after_a_cancellation_keeps_the_award_taken(world: World) -> None:
    attempt_id = world.owed()
    made = world.start(attempt_id)
    world.clock.advance(LEASE + 1)
    world.reclaim()
    world.cancel(attempt_id)

    decision = world.finish(made, Outcome.ACCEPTED)

    assert decision is None
    assert world.state(attempt_id) is State.WITHDRAWN
    assert world.submissions(attempt_id)[0].outcome == "accepted"
    assert world.receive(world.event())[0].states == (State.DUPLICATE,)


def test_a_cancellation_and_a_start_at_the_same_instant_have_one_winner(world: World) -> None:
    for i in range(8):
        attempt_id = world.owed(f"account-{i}", f"customer-{i}")

        def cancel(attempt_id: str = attempt_id) -> bool:
            try:
                return world.cancel(attempt_id) is State.WITHDRAWN
            except NotAllowed:
                return False

        with ThreadPoolExecutor(2) as pool:
            starting = pool.submit(world.try_start, attempt_id)
            cancelled = pool.submit(cancel).result(10)
            started = isinstance(starting.result(10), StartedSubmission)

        assert started != cancelled
        assert (world.state(attempt_id) is State.DUE) == started


def test_an_id_of_no_attempt_is_no_error(world: World) -> None:
    assert world.replay(new_id(world.now)) is None
