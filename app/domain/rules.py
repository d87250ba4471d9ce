"""Which challenges does an action earn, and what counts as the same award?"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from app.domain.events import Event
from app.domain.evidence import Evidence

# What the ledger has room for: a source and an event's key can be longer together.
MAX_OCCURRENCE = 300


class Repeat(StrEnum):
    """What makes two awards of one challenge different: the `occurrence` of the award ledger."""

    ONCE = "once"
    PER_TARGET = "per_target"
    PER_DAY = "per_day"
    PER_WEEK = "per_week"
    PER_MONTH = "per_month"
    EVERY_EVENT = "every_event"


@dataclass(frozen=True, slots=True)
class Rule:
    """This action on this target, from this source, earns this challenge.

    ``source`` None: any source whose accounts are of ``platform``, and claims.
    """

    challenge_id: int
    platform: str
    action: str
    source: str | None = None
    target: str | None = None
    evidence: Evidence = Evidence.SIGNED
    repeat: Repeat = Repeat.ONCE
    hold_seconds: float = 0
    bar_after_undo: bool = False
    target_ignores_case: bool = False

    def as_target(self, text: str | None) -> str | None:
        """A target as this rule's platform names it in events."""
        return text.lower() if text is not None and self.target_ignores_case else text

    @property
    def minds_undoing(self) -> bool:
        """Whether it matters for this rule that an action was taken back."""
        return self.hold_seconds > 0 or self.bar_after_undo

    def matches(self, event: Event) -> bool:
        return (
            self.action == event.action
            and self.platform == event.platform
            and self.source in (None, event.source)
            and (self.target is None or self.target in event.targets)
        )

    def fits_claim(self, challenge_id: int, hints: "ClaimHints") -> bool:
        return (
            self.challenge_id == challenge_id
            and hints.platform in (None, self.platform)
            and hints.action in (None, self.action)
            and (self.target is None or self.as_target(hints.target) in (None, self.target))
        )


@dataclass(frozen=True, slots=True)
class ClaimHints:
    """What a claim says of itself, to choose among several rules of one challenge."""

    platform: str | None = None
    action: str | None = None
    target: str | None = None


def earned_by(event: Event, rules: tuple[Rule, ...]) -> list[Rule]:
    """The rules that an event fulfils; the first in the file wins for each challenge."""
    earned: dict[int, Rule] = {}
    for rule in rules:
        if rule.matches(event):
            earned.setdefault(rule.challenge_id, rule)
    return list(earned.values())


def rule_for_claim(challenge_id: int, hints: ClaimHints, rules: tuple[Rule, ...]) -> Rule | None:
    """The rule a claim is made under: one that believes claims, else the first that fits."""
    fitting = [rule for rule in rules if rule.fits_claim(challenge_id, hints)]
    trusting = [rule for rule in fitting if Evidence.CLAIMED.suffices_for(rule.evidence)]
    return next(iter(trusting or fitting), None)


def occurrence(repeat: Repeat, *, target: str | None, at: datetime, key: str) -> str:
    """Name the occurrence an award is for. Days, weeks (ISO) and months are counted in UTC."""
    day = at.astimezone(UTC).date()
    match repeat:
        case Repeat.ONCE:
            return "once"
        case Repeat.PER_TARGET:
            return f"target:{target or ''}"
        case Repeat.PER_DAY:
            return f"day:{day.isoformat()}"
        case Repeat.PER_WEEK:
            year, week, _ = day.isocalendar()
            return f"week:{year}-W{week:02}"
        case Repeat.PER_MONTH:
            return f"month:{day.year}-{day.month:02}"
        case Repeat.EVERY_EVENT:
            name = f"event:{key}"
            return name if len(name) <= MAX_OCCURRENCE else f"digest:{_digest(key)}"


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
