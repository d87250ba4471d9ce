"""Is every change of state allowed, conditional and remembered?"""

import pytest
from sqlalchemy import Connection

from app.domain.attempts import TRAITS, State
from app.steps.transitions import (
    MAX_REASON,
    StateChange,
    StateChanged,
    change_state,
    change_states,
)
from app.storage.tables import AttemptRow, TransitionRow
from tests.steps.world import World


def moved(
    world: World, attempt_id: str, from_state: State, to_state: State, why: str = "x"
) -> None:
    def step(connection: Connection) -> None:
        change_state(
            connection,
            attempt_id,
            from_state,
            to_state,
            reason=why,
            caused_by="somebody",
            now=world.now,
        )

    world.do(step)


def test_a_move_is_made_and_remembered(world: World) -> None:
    attempt_id = world.owed()
    world.clock.advance(5)

    moved(world, attempt_id, State.DUE, State.WITHDRAWN, "because")

    attempt = world.attempt(attempt_id)
    assert (attempt.state, attempt.reason, attempt.updated_at) == (
        *("withdrawn", "because"),
        world.now,
    )
    change = world.last_change(attempt_id)
    assert (change.from_state, change.to_state, change.at) == ("due", "withdrawn", world.now)
    assert (change.reason, change.caused_by) == ("because", "somebody")


def test_a_move_stops_the_clock_of_the_state_it_leaves(world: World) -> None:
    attempt_id = world.owed()

    moved(world, attempt_id, State.DUE, State.DEAD)

    assert world.attempt(attempt_id).next_at is None


def test_a_move_that_the_table_lacks_is_refused(sqlite_world: World) -> None:
    attempt_id = sqlite_world.owed()

    for from_state in State:
        for to_state in set(State) - TRAITS[from_state].next:
            with pytest.raises(ValueError, match="cannot go"):
                moved(sqlite_world, attempt_id, from_state, to_state)

    assert sqlite_world.timeline(attempt_id) == ["due"]


def test_a_move_from_a_state_it_has_left_changes_nothing(world: World) -> None:
    attempt_id = world.owed()
    before = (world.all(AttemptRow), world.all(TransitionRow))

    with pytest.raises(StateChanged):
        moved(world, attempt_id, State.HELD, State.WITHDRAWN)

    assert (world.all(AttemptRow), world.all(TransitionRow)) == before


def test_a_long_reason_is_cut(world: World) -> None:
    attempt_id = world.owed()

    moved(world, attempt_id, State.DUE, State.DEAD, "é" * 1_000)

    assert world.attempt(attempt_id).reason == "é" * MAX_REASON
    assert world.last_change(attempt_id).reason == "é" * MAX_REASON


def test_of_many_moves_none_is_made_when_somebody_was_faster_at_one(world: World) -> None:
    first, second = world.owed(), world.owed("1", "bob")
    moves = [
        StateChange(attempt_id=one, to_state=State.WITHDRAWN, reason="because")
        for one in (first, second)
    ]
    moved(world, second, State.DUE, State.DEAD)

    with pytest.raises(StateChanged):
        world.do(lambda c: change_states(c, State.DUE, moves, "somebody", world.now))

    assert (world.state(first), world.state(second)) == (State.DUE, State.DEAD)


def test_of_many_moves_each_must_be_one_of_the_table(world: World) -> None:
    attempt_id = world.owed()

    with pytest.raises(ValueError, match="cannot go"):
        world.do(
            lambda c: change_states(
                c,
                State.DUE,
                [StateChange(attempt_id=attempt_id, to_state=State.HELD, reason="x")],
                "somebody",
                world.now,
            )
        )
