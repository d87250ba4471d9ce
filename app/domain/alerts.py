"""What is wrong enough to wake somebody? Pure: it is told how things are, and when it is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import takewhile

from app.domain.attempts import OUTCOMES, State
from app.domain.sources import SHARE_THAT_CLEARS, IssueKind, SourceIssue


class AlertKind(StrEnum):
    """What an alert is about. Stored, sent and shown under these words."""

    FORWARDING_PAUSED = "forwarding_paused"
    CREDENTIALS_REFUSED = "credentials_refused"
    ATTEMPTS_DEAD = "attempts_dead"
    BACKLOG = "backlog"
    SOURCE_SILENT = "source_silent"
    SOURCE_REFUSING = "source_refusing"
    HANDSHAKE_BROKEN = "handshake_broken"
    SOURCE_ID_CHANGED = "source_id_changed"
    CONFIRMATION_FALLING = "confirmation_falling"
    TEST = "test"


# The alert that reports each kind of issue.
OF_ISSUES: Mapping[IssueKind, AlertKind] = {
    IssueKind.SILENT: AlertKind.SOURCE_SILENT,
    IssueKind.REFUSING: AlertKind.SOURCE_REFUSING,
    IssueKind.REVOKED: AlertKind.HANDSHAKE_BROKEN,
    IssueKind.LAPSING: AlertKind.HANDSHAKE_BROKEN,
    IssueKind.LAPSED: AlertKind.HANDSHAKE_BROKEN,
    IssueKind.CHANGED: AlertKind.SOURCE_ID_CHANGED,
}
# Raised where a number passes a limit: such a number also comes and goes around it.
MEASURED = frozenset(
    {
        AlertKind.ATTEMPTS_DEAD,
        AlertKind.BACKLOG,
        AlertKind.SOURCE_REFUSING,
        AlertKind.CONFIRMATION_FALLING,
    }
)
# Gameball's words for keys it does not take: by the status, or by its code.
_CREDENTIALS = frozenset({"401", "403", "1000", "1001", "1002", "1006"})

# What is wrong: the kind, and of what (a source's name, or nothing), with words for a person.
Wrong = Mapping[tuple[AlertKind, str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From where on it is wrong, of what ended within a window. Zero: never.

    ``lasts_seconds``: no alert by a number is over sooner.
    """

    within_seconds: float
    dead_share: float
    dead_of_at_least: int
    backlog_seconds: float
    granted_share: float
    granted_of_at_least: int
    lasts_seconds: float = 0

    @property
    def lowered(self) -> "Limits":
        """From where on it is no longer wrong, once it was: few attempts conclude something too."""
        return replace(
            self,
            dead_share=self.dead_share * SHARE_THAT_CLEARS,
            dead_of_at_least=1,
            backlog_seconds=self.backlog_seconds * SHARE_THAT_CLEARS,
            granted_share=self.granted_share and 1 - (1 - self.granted_share) * SHARE_THAT_CLEARS,
            granted_of_at_least=1,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """How things are. ``ended``: attempts by the state that they came to within the window.

    ``lingering``: the sources' issues that keep an alert that was raised.
    """

    paused_at: datetime | None = None
    pause_reason: str | None = None
    oldest_due_at: datetime | None = None
    ended: Mapping[State, int] = field(default_factory=dict)
    issues: Mapping[str, list[SourceIssue]] = field(default_factory=dict)
    lingering: Mapping[str, list[SourceIssue]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is wrong, and which alerts that were raised before are not over.

    Raised at one limit and over at another, an alert of something that lasts is told once.
    """

    wrong: Wrong
    lingering: Wrong = field(default_factory=dict)
    lasts_seconds: float = 0

    def is_over(self, kind: AlertKind, subject: str, raised_at: datetime, now: datetime) -> bool:
        if (kind, subject) in self.wrong:
            return False
        if kind not in MEASURED:
            return True
        lasted = now - raised_at >= timedelta(seconds=self.lasts_seconds)
        return lasted and (kind, subject) not in self.lingering


def judge(situation: Situation, limits: Limits, now: datetime) -> Judgement:
    still = replace(situation, issues=situation.lingering)
    return Judgement(
        wrong(situation, limits, now), wrong(still, limits.lowered, now), limits.lasts_seconds
    )


def wrong(situation: Situation, limits: Limits, now: datetime) -> Wrong:
    """Everything that is wrong now."""
    found = (
        *_forwarding(situation),
        *_dead(situation, limits),
        *_backlog(situation, limits, now),
        *_confirmation(situation, limits),
        *_sources(situation),
    )
    told: dict[tuple[AlertKind, str], str] = {}
    for kind, subject, text in found:
        told.setdefault((kind, subject), text)
    return told


def _forwarding(situation: Situation) -> Iterator[tuple[AlertKind, str, str]]:
    """One alert for one pause: the more telling of the two."""
    if situation.paused_at is None:
        return
    words = _facts(situation.pause_reason or "")
    since = f"since {_format_time(situation.paused_at)}"
    if words[:1] == ["blocked"] and not _CREDENTIALS.isdisjoint(words[1:]):
        text = f"Gameball refuses our credentials {since} ({' '.join(words)}). Nothing is lost"
        yield AlertKind.CREDENTIALS_REFUSED, "", text
    else:
        why = " ".join(words) or "unknown"
        yield (
            AlertKind.FORWARDING_PAUSED,
            "",
            f"forwarding is paused {since}: {why}. Nothing is lost",
        )


def _facts(pause_reason: str) -> list[str]:
    """Outcome, status and code. Gameball's own words after them might name somebody."""
    first, *rest = pause_reason.split(" ")
    numbers = takewhile(str.isdigit, rest[:2])
    return [first, *numbers] if first else []


def _dead(situation: Situation, limits: Limits) -> Iterator[tuple[AlertKind, str, str]]:
    count, dead = sum(situation.ended.values()), situation.ended.get(State.DEAD, 0)
    if not limits.dead_share or count < limits.dead_of_at_least:
        return
    if dead >= limits.dead_share * count:
        text = (
            f"{dead} of {count} attempts that ended within {_span(limits)} died: `vouch attempts "
            "list --state dead` says why"
        )
        yield AlertKind.ATTEMPTS_DEAD, "", text


def _backlog(
    situation: Situation, limits: Limits, now: datetime
) -> Iterator[tuple[AlertKind, str, str]]:
    since = situation.oldest_due_at
    if limits.backlog_seconds and since and now - since > timedelta(seconds=limits.backlog_seconds):
        since_when = _format_time(since)
        text = f"attempts have been due since {since_when}: no worker runs, or they are behind"
        yield AlertKind.BACKLOG, "", text


def _confirmation(situation: Situation, limits: Limits) -> Iterator[tuple[AlertKind, str, str]]:
    known = sum(situation.ended.get(state, 0) for state in OUTCOMES)
    granted = situation.ended.get(State.GRANTED, 0)
    if known < limits.granted_of_at_least or granted >= limits.granted_share * known:
        return
    text = (
        f"only {granted} of {known} accepted attempts were granted within {_span(limits)}: is the "
        "campaign on, and are its customers eligible?"
    )
    yield AlertKind.CONFIRMATION_FALLING, "", text


def _sources(situation: Situation) -> Iterator[tuple[AlertKind, str, str]]:
    for source, found in sorted(situation.issues.items()):
        for issue in found:
            yield OF_ISSUES[issue.kind], source, f"source {source}: {issue.text}"


def _span(limits: Limits) -> timedelta:
    return timedelta(seconds=limits.within_seconds)


def _format_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
