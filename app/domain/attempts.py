"""Where in its life is an attempt, and where may it go from there?"""

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


# From each state, where an attempt may go. Whatever is not listed is a bug and is refused.
TRANSITIONS: dict[State, frozenset[State]] = {
    State.UNLINKED: frozenset(
        {State.HELD, State.DUE, State.DUPLICATE, State.REFUSED, State.EXPIRED, State.WITHDRAWN}
    ),
    State.CHECKING: frozenset(
        {State.HELD, State.DUE, State.DUPLICATE, State.REFUSED, State.EXPIRED, State.WITHDRAWN}
    ),
    State.HELD: frozenset({State.DUE, State.WITHDRAWN}),
    State.DUE: frozenset({State.ACCEPTED, State.DEAD, State.REFUSED, State.WITHDRAWN}),
    State.ACCEPTED: frozenset({State.GRANTED, State.NOT_GRANTED, State.UNCONFIRMED}),
    State.GRANTED: frozenset(),
    State.NOT_GRANTED: frozenset({State.DUE}),
    State.UNCONFIRMED: frozenset({State.DUE}),
    # When the action that had the award was undone: the next one of the account stands in for it.
    State.DUPLICATE: frozenset({State.HELD, State.DUE}),
    State.REFUSED: frozenset(),
    # When the action that was undone is there again, such as a post that was hidden.
    State.WITHDRAWN: frozenset(
        {State.UNLINKED, State.HELD, State.DUE, State.DUPLICATE, State.REFUSED}
    ),
    State.EXPIRED: frozenset(),
    State.DEAD: frozenset({State.DUE, State.WITHDRAWN}),
}

OPEN = frozenset({State.UNLINKED, State.CHECKING, State.HELD, State.DUE, State.ACCEPTED})
REPLAYABLE = frozenset(state for state in (State.DEAD, State.NOT_GRANTED, State.UNCONFIRMED))
CANCELLABLE = frozenset({State.UNLINKED, State.CHECKING, State.HELD, State.DUE, State.DEAD})


def may_change(from_state: State, to_state: State) -> bool:
    return to_state in TRANSITIONS[from_state]
