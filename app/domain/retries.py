"""Decides what follows a submission, and when the next one is due."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.answers import TREATMENTS, Answer, Disposition, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """An ended submission, reduced to the facts that the next decision needs.

    ``resolved``: a later look at the customer's progress showed that it had not landed.
    ``spent``: it counts in the present round; a replay by a person starts a new round.
    """

    outcome: Outcome
    started_at: datetime
    ended_at: datetime
    resolved: bool = False
    spent: bool = True

    @property
    def is_accepted(self) -> bool:
        """Whether Gameball accepted the submission."""
        return TREATMENTS[self.outcome].then is Disposition.ACCEPT

    @property
    def is_unresolved(self) -> bool:
        """Whether it may have landed. This includes submissions accepted before a replay."""
        may_have = TREATMENTS[self.outcome].may_have_landed or (self.is_accepted and not self.spent)
        return may_have and not self.resolved


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Delays in seconds by schedule. An attempt becomes `dead` when its schedule has ended.

    Until ``window_at_least_seconds`` Gameball surely answers 4000 to a repeat. After
    ``window_at_most_seconds`` it surely does not, and a grant is surely visible. Gameball
    documents neither number.
    """

    schedules: Mapping[str, Sequence[float]]
    window_at_least_seconds: float
    window_at_most_seconds: float
    jitter: float = 0.1

    def next_delay(self, schedule: str, position: int, chance: float | None = None) -> float | None:
        """Seconds to wait before submission ``position`` + 1; None when the schedule has ended.

        Jitter only adds: at most ``jitter`` of the delay.
        """
        delays = self.schedules[schedule]
        if position >= len(delays):
            return None
        extra = random.random() if chance is None else chance
        return delays[position] * (1 + self.jitter * extra)


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to an attempt after a submission. ``next_at`` is set when it stays `due`."""

    then: Disposition
    reason: str
    next_at: datetime | None = None


def decide(answer: Answer, past: Sequence[Past], policy: RetryPolicy, now: datetime) -> Decision:
    """Decide by the answer table. ``past``: the attempt's earlier submissions, oldest first."""
    treatment = answer.treatment
    if any(one.is_accepted and one.spent for one in past):
        return Decision(
            Disposition.ACCEPT, "an earlier submission was accepted, though its answer was late"
        )
    if answer.outcome is Outcome.ECHO and unresolved_since(past) is not None:
        return Decision(Disposition.ACCEPT, "an earlier submission without an answer had landed")
    if treatment.then is not Disposition.RETRY or treatment.schedule is None:
        reason = answer.summary if treatment.then is Disposition.DIE else answer.outcome
        return Decision(treatment.then, reason, now)
    position = sum(
        one.spent and TREATMENTS[one.outcome].schedule == treatment.schedule for one in past
    )
    delay = policy.next_delay(treatment.schedule, position)
    if delay is None:
        return Decision(
            Disposition.DIE, f"the {treatment.schedule} schedule ran out; last {answer.summary}"
        )
    return Decision(Disposition.RETRY, answer.outcome, now + timedelta(seconds=delay))


def unresolved_since(past: Sequence[Past]) -> datetime | None:
    """Start of the earliest unresolved submission that may have landed, or None."""
    return min((one.started_at for one in past if one.is_unresolved), default=None)


def unresolved_until(past: Sequence[Past]) -> datetime | None:
    """End of the latest unresolved submission that may have landed, or None."""
    return max((one.ended_at for one in past if one.is_unresolved), default=None)
