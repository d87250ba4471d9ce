"""The states of an attempt: what each means, and which changes are allowed."""

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
    """What a state means to the rest of the code. Any change that ``next`` leaves out is a bug.

    ``is_open``: something still happens by itself. ``has_award``: the ledger holds its award as
    earned. ``is_outcome``: the truth about the reward was looked up. ``may_be_sent``: it was never
    accepted, and may be submitted from here; after a restore it may have been. ``ends``: an undo
    changes nothing any more. ``waits``: for a link or for proof, before it is earned.
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
    # If the action with the award is undone, the account's next one takes its place.
    State.DUPLICATE: Traits(next=frozenset({State.HELD, State.DUE})),
    State.REFUSED: Traits(ends=True),
    # The undone action can be there again, such as a post that was hidden.
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
    return to_state in TRAITS[from_state].next
