"""Decides which alerts are due. Pure: the caller passes the situation and the time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import takewhile

from app.domain.attempts import OUTCOMES, State
from app.domain.clock import to_the_minute
from app.domain.sources import SHARE_THAT_CLEARS, IssueKind, SourceIssue


class AlertKind(StrEnum):
    """The kind of an alert. The values are stored, sent and shown."""

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
# Alerts on a measured value, which may cross its limit back and forth.
MEASURED = frozenset(
    {
        AlertKind.ATTEMPTS_DEAD,
        AlertKind.BACKLOG,
        AlertKind.SOURCE_REFUSING,
        AlertKind.CONFIRMATION_FALLING,
    }
)
# Gameball's HTTP statuses and error codes for refused credentials.
_CREDENTIALS = frozenset({"401", "403", "1000", "1001", "1002", "1006"})

# Maps (kind, subject) to a text for people. The subject is a source's name or "".
Wrong = Mapping[tuple[AlertKind, str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits above which something is wrong, for attempts that ended in a window of time.

    A limit of zero turns its alert off. All ``_seconds`` are seconds. An alert on a measured
    value stays open for at least ``lasts_seconds``.
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
        """The limits below which a raised alert is over. A few attempts are enough to judge."""
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
    """The state of the service. ``ended``: attempts that ended within the window, by state.

    ``lingering``: the sources' issues that keep a raised alert open.
    """

    paused_at: datetime | None = None
    pause_reason: str | None = None
    oldest_due_at: datetime | None = None
    ended: Mapping[State, int] = field(default_factory=dict)
    issues: Mapping[str, list[SourceIssue]] = field(default_factory=dict)
    lingering: Mapping[str, list[SourceIssue]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is wrong now, and what keeps raised alerts open.

    The limit that ends an alert is lower than the one that raises it, so a lasting problem
    is reported once.
    """

    wrong: Wrong
    lingering: Wrong = field(default_factory=dict)
    lasts_seconds: float = 0

    def is_over(self, kind: AlertKind, subject: str, raised_at: datetime, now: datetime) -> bool:
        """Whether a raised alert is over, so that it can be cleared."""
        if (kind, subject) in self.wrong:
            return False
        if kind not in MEASURED:
            return True
        lasted = now - raised_at >= timedelta(seconds=self.lasts_seconds)
        return lasted and (kind, subject) not in self.lingering


def judge(situation: Situation, limits: Limits, now: datetime) -> Judgement:
    """Judge the situation by the limits, and by the lowered limits for raised alerts."""
    still = replace(situation, issues=situation.lingering)
    return Judgement(
        wrong(situation, limits, now), wrong(still, limits.lowered, now), limits.lasts_seconds
    )


def wrong(situation: Situation, limits: Limits, now: datetime) -> Wrong:
    """Return everything that is wrong now, with the first text for each kind and subject."""
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
    """Yield one alert for a pause: refused credentials, or any other reason."""
    if situation.paused_at is None:
        return
    words = _facts(situation.pause_reason or "")
    since = f"since {to_the_minute(situation.paused_at)}"
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
    """Outcome, status and code. Gameball's own text after them may name a person: it is cut."""
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
        since_when = to_the_minute(since)
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
