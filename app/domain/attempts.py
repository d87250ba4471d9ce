"""The states of an attempt: their traits and the allowed changes."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    UNLINKED = "unlinked"
    CHECKING = "checking"
    HELD = "held"
    DUE = "due"
    ACCEPTED = "accepted"
    GRANTED = "granted"
    NOT_GRANTED = "not_granted"
    UNCONFIRMED = "unconfirmed"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """The traits of a state. A change to a state that is not in ``next`` is a bug.

    - ``is_open``: the service still acts on the attempt by itself.
    - ``has_award``: the ledger holds its award as earned.
    - ``is_outcome``: the result of the reward was looked up.
    - ``may_be_sent``: never accepted, and may be submitted from here. After a restored backup
      it may have been accepted.
    - ``ends``: an undo changes nothing any more.
    - ``waits``: waits for a link or for proof before it is earned.
    """

    next: frozenset[State] = frozenset()
    is_open: bool = False
    may_replay: bool = False
    may_cancel: bool = False
    has_award: bool = False
    is_outcome: bool = False
    may_be_sent: bool = False
    ends: bool = False
    waits: bool = False


_EARNS = frozenset({State.HELD, State.DUE, State.DUPLICATE, State.REFUSED})

TRAITS: dict[State, Traits] = {
    State.UNLINKED: Traits(
        next=_EARNS | {State.EXPIRED, State.WITHDRAWN},
        is_open=True,
        may_cancel=True,
        may_be_sent=True,
        waits=True,
    ),
    State.CHECKING: Traits(
        next=_EARNS | {State.EXPIRED, State.WITHDRAWN},
        is_open=True,
        may_cancel=True,
        may_be_sent=True,
        waits=True,
    ),
    State.HELD: Traits(
        next=frozenset({State.DUE, State.WITHDRAWN}),
        is_open=True,
        may_cancel=True,
        has_award=True,
        may_be_sent=True,
    ),
    State.DUE: Traits(
        next=frozenset({State.ACCEPTED, State.DEAD, State.REFUSED, State.WITHDRAWN}),
        is_open=True,
        may_cancel=True,
        has_award=True,
        may_be_sent=True,
    ),
    State.ACCEPTED: Traits(
        next=frozenset({State.GRANTED, State.NOT_GRANTED, State.UNCONFIRMED}),
        is_open=True,
        has_award=True,
    ),
    State.GRANTED: Traits(has_award=True, is_outcome=True),
    State.NOT_GRANTED: Traits(
        next=frozenset({State.DUE}), may_replay=True, has_award=True, is_outcome=True
    ),
    State.UNCONFIRMED: Traits(
        next=frozenset({State.DUE}), may_replay=True, has_award=True, is_outcome=True
    ),
    # If the action that has the award is undone, the account's next action gets the award.
    State.DUPLICATE: Traits(next=frozenset({State.HELD, State.DUE})),
    State.REFUSED: Traits(ends=True),
    # An undone action can return, such as a post that was hidden and is shown again.
    State.WITHDRAWN: Traits(next=_EARNS | {State.UNLINKED}, ends=True),
    State.EXPIRED: Traits(ends=True),
    State.DEAD: Traits(
        next=frozenset({State.DUE, State.WITHDRAWN}),
        may_replay=True,
        may_cancel=True,
        has_award=True,
        may_be_sent=True,
    ),
}


def states_that(are: Callable[[Traits], bool]) -> frozenset[State]:
    """Return the states whose traits match."""
    return frozenset(state for state, traits in TRAITS.items() if are(traits))


OPEN = states_that(lambda traits: traits.is_open)
REPLAYABLE = states_that(lambda traits: traits.may_replay)
CANCELLABLE = states_that(lambda traits: traits.may_cancel)
OUTCOMES = states_that(lambda traits: traits.is_outcome)
EARNED = states_that(lambda traits: traits.has_award)
SENDABLE = states_that(lambda traits: traits.may_be_sent)
ENDED = states_that(lambda traits: traits.ends)
WAITING = states_that(lambda traits: traits.waits)


def may_change(from_state: State, to_state: State) -> bool:
    """Whether an attempt may change from one state to the other."""
    return to_state in TRAITS[from_state].next
