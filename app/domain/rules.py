"""Which challenges an action earns, and which awards are the same."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum

from app.domain.events import Event
from app.domain.evidence import Evidence

# The length of the ledger's column. A source and an event's key together can be longer.
MAX_OCCURRENCE = 300
# Not a valid name of a source.
_ANY_SOURCE = "*"


class Repeat(StrEnum):
    """How often a challenge can be earned. It decides the `occurrence` in the award ledger."""

    ONCE = "once"
    PER_TARGET = "per_target"
    PER_DAY = "per_day"
    PER_WEEK = "per_week"
    PER_MONTH = "per_month"
    EVERY_EVENT = "every_event"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """An action on a target, from a source, earns a challenge.

    ``source`` None: any source of ``platform``, and claims. ``sources`` are then the names of the
    sources that share event keys; it is empty if each source numbers its own events.
    ``time_zone`` defines the days, weeks and months.
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
    # Set from other sections of the configuration file.
    time_zone: tzinfo = field(default=UTC, compare=False)
    sources: frozenset[str] = field(default=frozenset(), compare=False)

    def as_target(self, text: str | None) -> str | None:
        """Return the target as events of this platform name it."""
        return text.lower() if text is not None and self.target_ignores_case else text

    @property
    def minds_undoing(self) -> bool:
        """Whether the rule needs to know that an action was undone."""
        return self.hold_seconds > 0 or self.bar_after_undo

    def occurrence_of(self, event: Event) -> str:
        """Return the occurrence of an award for this event."""
        # Any of these sources may send the same event.
        source = _ANY_SOURCE if event.source in self.sources else event.source
        return self._occurrence(event.target, event.happened_at, f"{source}:{_key_of(event)}")

    def other_occurrences_of(self, event: Event) -> tuple[str, ...]:
        """Return other names that the ledger may have for the occurrence of this event.

        They come from other names of the target, or from earlier versions, which used the name of
        the source that had sent the event.
        """
        if self.repeat is Repeat.PER_TARGET:
            at = event.happened_at
            return tuple(self._occurrence(name, at, "") for name in event.target_aliases)
        if self.repeat is Repeat.EVERY_EVENT and event.source in self.sources:
            others = sorted(self.sources - {event.source})
            return tuple(event_occurrence(f"{source}:{_key_of(event)}") for source in others)
        return ()

    def occurrence_of_claim(self, token_id: str, target: str | None, now: datetime) -> str:
        """Return the occurrence of a claim as long as no event proves it."""
        return self._occurrence(target, now, f"claim:{token_id}")

    def _occurrence(self, target: str | None, at: datetime, key: str) -> str:
        return occurrence(self.repeat, target=target, at=at, key=key, time_zone=self.time_zone)

    def matches(self, event: Event) -> bool:
        """Whether the event fulfils the rule."""
        return (
            self.action == event.action
            and self.platform == event.platform
            and self.source in (None, event.source)
            and (self.target is None or self.target in event.targets)
        )

    def fits_claim(self, challenge_id: int, hints: "ClaimHints") -> bool:
        """Whether a claim with these hints may be made under the rule."""
        return (
            self.challenge_id == challenge_id
            and hints.platform in (None, self.platform)
            and hints.action in (None, self.action)
            and (self.target is None or self.as_target(hints.target) in (None, self.target))
        )


@dataclass(frozen=True, slots=True)
class ClaimHints:
    """What a claim says of itself. It selects one of several rules for a challenge."""

    platform: str | None = None
    action: str | None = None
    target: str | None = None


def earned_by(event: Event, rules: tuple[Rule, ...]) -> list[Rule]:
    """Return the rules that an event fulfils. The first rule in the file for a challenge wins."""
    earned: dict[int, Rule] = {}
    for rule in rules:
        if rule.matches(event):
            earned.setdefault(rule.challenge_id, rule)
    return list(earned.values())


def rule_for_claim(challenge_id: int, hints: ClaimHints, rules: tuple[Rule, ...]) -> Rule | None:
    """Return the rule of a claim: one that accepts claims, else the first that fits, or None."""
    fitting = [rule for rule in rules if rule.fits_claim(challenge_id, hints)]
    trusting = [rule for rule in fitting if Evidence.CLAIMED.suffices_for(rule.evidence)]
    return next(iter(trusting or fitting), None)


def occurrence(
    repeat: Repeat, *, target: str | None, at: datetime, key: str, time_zone: tzinfo = UTC
) -> str:
    """Name the occurrence of an award. Days, ISO weeks and months are those of the time zone.

    The name contains the date but not the zone, so a change of the zone pays no date twice.
    """
    match repeat:
        case Repeat.ONCE:
            return "once"
        case Repeat.PER_TARGET:
            return f"target:{target or ''}"
        case Repeat.PER_DAY:
            return f"day:{_date(at, time_zone).isoformat()}"
        case Repeat.PER_WEEK:
            year, week, _ = _date(at, time_zone).isocalendar()
            return f"week:{year}-W{week:02}"
        case Repeat.PER_MONTH:
            day = _date(at, time_zone)
            return f"month:{day.year}-{day.month:02}"
        case Repeat.EVERY_EVENT:
            return event_occurrence(key)


def _key_of(event: Event) -> str:
    """The oldest key that the event has: an earlier version may run beside this one."""
    return event.former_keys[0] if event.former_keys else event.key


def event_occurrence(key: str) -> str:
    """The occurrence of one event. A key that is too long is replaced by its SHA-256 digest."""
    name = f"event:{key}"
    return name if len(name) <= MAX_OCCURRENCE else f"digest:{_digest(key)}"


def may_have_begun_by(occurrence_name: str, moment: datetime) -> bool:
    """Whether an award for this occurrence may have been earned by then, in any time zone.

    True for names without a date, such as those of `every_event`.
    """
    kind, _, rest = occurrence_name.partition(":")
    # The largest offset from UTC is 14 hours.
    latest_date = (moment + timedelta(hours=14)).date()
    match kind:
        case "day":
            return date.fromisoformat(rest) <= latest_date
        case "week":
            year, week = rest.split("-W")
            return date.fromisocalendar(int(year), int(week), 1) <= latest_date
        case "month":
            return date.fromisoformat(f"{rest.zfill(7)}-01") <= latest_date
        case _:
            return True


def _date(at: datetime, time_zone: tzinfo) -> date:
    try:
        return at.astimezone(time_zone).date()
    except OverflowError:
        # Some platforms send the first hours of year 1 for "none". West of Greenwich they are
        # before the first date.
        return at.astimezone(UTC).date()


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
