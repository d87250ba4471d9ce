"""Does an attempt only ever go where it may?"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.domain.attempts import (
    CANCELLABLE,
    ENDED,
    OPEN,
    OUTCOMES,
    REPLAYABLE,
    SENDABLE,
    TRAITS,
    State,
    may_change,
)

# PRODUCT: the life of an attempt. What leaves each state, and what does not.
FINAL = {State.GRANTED, State.REFUSED, State.EXPIRED}
PAID = {State.ACCEPTED, State.GRANTED}


def test_every_state_has_its_moves_written_down() -> None:
    assert set(TRAITS) == set(State)


def test_a_final_state_has_no_exit() -> None:
    assert {state for state, traits in TRAITS.items() if not traits.next} == FINAL


@pytest.mark.parametrize(
    ("state", "exits"),
    [
        (State.UNLINKED, {"held", "due", "duplicate", "refused", "expired", "withdrawn"}),
        (State.CHECKING, {"held", "due", "duplicate", "refused", "expired", "withdrawn"}),
        (State.HELD, {"due", "withdrawn"}),
        (State.DUE, {"accepted", "dead", "refused", "withdrawn"}),
        # It stands in for an action that was undone.
        (State.DUPLICATE, {"held", "due"}),
        # The action that was undone is there again.
        (State.WITHDRAWN, {"unlinked", "held", "due", "duplicate", "refused"}),
        (State.ACCEPTED, {"granted", "not_granted", "unconfirmed"}),
        (State.NOT_GRANTED, {"due"}),
        (State.UNCONFIRMED, {"due"}),
        (State.DEAD, {"due", "withdrawn"}),
    ],
)
def test_a_state_is_left_as_the_product_says(state: State, exits: set[str]) -> None:
    assert TRAITS[state].next == exits


@pytest.mark.parametrize("state", State)
def test_nothing_stays_by_moving(state: State) -> None:
    assert not may_change(state, state)


@pytest.mark.parametrize("state", sorted(PAID))
def test_what_was_paid_or_may_be_is_never_withdrawn(state: State) -> None:
    assert not may_change(state, State.WITHDRAWN)
    assert state not in CANCELLABLE


@pytest.mark.parametrize("state", State)
def test_only_a_due_attempt_is_ever_accepted(state: State) -> None:
    assert may_change(state, State.ACCEPTED) == (state is State.DUE)


@pytest.mark.parametrize("state", sorted(REPLAYABLE))
def test_what_a_person_may_replay_can_become_due(state: State) -> None:
    assert may_change(state, State.DUE)


@pytest.mark.parametrize("state", sorted(CANCELLABLE))
def test_what_a_person_may_cancel_can_be_withdrawn(state: State) -> None:
    assert may_change(state, State.WITHDRAWN)


def test_what_is_open_can_go_on_and_what_is_final_is_not_open() -> None:
    assert all(TRAITS[state].next for state in OPEN)
    assert not OPEN & FINAL


def reaches(state: State) -> set[State]:
    """All states that an attempt can come to from this one."""
    found, left = set[State](), [state]
    while left:
        for following in TRAITS[left.pop()].next - found:
            found.add(following)
            left.append(following)
    return found


@pytest.mark.parametrize("state", State)
def test_a_restored_backup_doubts_whatever_may_have_been_sent_since(state: State) -> None:
    """A new state that leads to a submission, and is not doubted, would be paid twice."""
    was_accepted = state is State.ACCEPTED or state in OUTCOMES
    needs_another_event = state is State.DUPLICATE or state in ENDED
    leads_to_a_submission = State.DUE in reaches(state) | {state}

    expected = leads_to_a_submission and not was_accepted and not needs_another_event
    assert (state in SENDABLE) == expected


class Life(RuleBasedStateMachine):
    """An attempt that is pushed anywhere, and moves only where the table lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State.UNLINKED
        self.path = [self.state]
        self.replays = 0

    @rule(to_state=st.sampled_from(list(State)))
    def push(self, to_state: State) -> None:
        if may_change(self.state, to_state):
            self.replays += self.state in REPLAYABLE and to_state is State.DUE
            self.state = to_state
            self.path.append(to_state)

    @precondition(lambda self: self.state in FINAL)
    @rule(to_state=st.sampled_from(list(State)))
    def push_after_the_end(self, to_state: State) -> None:
        assert not may_change(self.state, to_state)

    @invariant()
    def it_was_owed_before_it_was_accepted(self) -> None:
        for before, after in zip(self.path, self.path[1:], strict=False):
            if after is State.ACCEPTED:
                assert before is State.DUE

    @invariant()
    def it_is_accepted_again_only_after_a_person_replayed_it(self) -> None:
        assert self.path.count(State.ACCEPTED) <= 1 + self.replays


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=50, stateful_step_count=20)
