"""When is the next submission?"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.answers import TREATMENTS, Answer, Disposition, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What is left of one ended submission that the next decision needs.

    ``resolved``: a later look at the customer's progress told that it had not landed.
    ``spent``: it belongs to the present round; a replay by a person starts a new one.
    """

    outcome: Outcome
    started_at: datetime
    ended_at: datetime
    resolved: bool = False
    spent: bool = True

    @property
    def is_accepted(self) -> bool:
        return TREATMENTS[self.outcome].then is Disposition.ACCEPT

    @property
    def is_unresolved(self) -> bool:
        """Whether it may have landed. What was accepted before a replay may have, as well."""
        may_have = TREATMENTS[self.outcome].may_have_landed or (self.is_accepted and not self.spent)
        return may_have and not self.resolved


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Delays in seconds by schedule name; a schedule that ran out makes the attempt `dead`.

    ``window_at_least_seconds``: Gameball surely still answers 4000 to a repeat this much later.
    ``window_at_most_seconds``: it surely does no longer, and a grant is surely visible.
    Gameball documents neither number.
    """

    schedules: Mapping[str, Sequence[float]]
    window_at_least_seconds: float
    window_at_most_seconds: float
    jitter: float = 0.1

    def next_delay(self, schedule: str, position: int, chance: float | None = None) -> float | None:
        """Seconds to wait before submission ``position`` + 1 of this schedule; None: it ran out.

        Jitter only adds: up to ``jitter`` of the delay.
        """
        delays = self.schedules[schedule]
        if position >= len(delays):
            return None
        extra = random.random() if chance is None else chance
        return delays[position] * (1 + self.jitter * extra)


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of an attempt after a submission. ``next_at`` is set when it stays `due`."""

    then: Disposition
    reason: str
    next_at: datetime | None = None


def decide(answer: Answer, past: Sequence[Past], policy: RetryPolicy, now: datetime) -> Decision:
    """Decide by the answer table; ``past`` is the attempt's earlier submissions, oldest first."""
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
    """When the earliest submission that may have landed began, if nothing told since."""
    return min((one.started_at for one in past if one.is_unresolved), default=None)


def unresolved_until(past: Sequence[Past]) -> datetime | None:
    """When the latest submission that may have landed ended, if nothing told since."""
    return max((one.ended_at for one in past if one.is_unresolved), default=None)
