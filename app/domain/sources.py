"""Decides what is wrong with a source. Pure: the caller passes the observations and the time."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from app.domain.clock import to_the_minute

# Refusals are kept for one day, so no window can be longer.
LONGEST_WINDOW_SECONDS = 86_400
# A subscription is renewed at half of its time. If this share is left, the renewal has failed.
SHARE_THAT_WORRIES = 0.25
# A raised alert is over at this part of its limit, so a value near the limit alerts only once.
SHARE_THAT_CLEARS = 0.5


class IssueKind(StrEnum):
    """The kinds of problems of a source, the gravest first."""

    REVOKED = "revoked"
    REFUSING = "refusing"
    SILENT = "silent"
    LAPSING = "lapsing"
    LAPSED = "lapsed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class SourceIssue:
    """One problem of a source, and its text for people."""

    kind: IssueKind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A subscription to a topic at a platform. The platform sends events until it lapses."""

    topic: str
    granted_at: datetime | None
    lapses_at: datetime | None
    asked_at: datetime | None = None
    answer: str | None = None

    def is_lapsed(self, now: datetime) -> bool:
        """Whether it lapsed, or was never granted."""
        return self.lapses_at is None or self.lapses_at <= now

    def has_left(self, share: float, now: datetime) -> bool:
        """Whether more than this share of the subscription's time is left."""
        if self.granted_at is None or self.lapses_at is None:
            return False
        return (self.lapses_at - now) > (self.lapses_at - self.granted_at) * share


@dataclass(frozen=True, slots=True)
class IdChange:
    """A platform gave a new id to something that the configuration may name."""

    old_id: str
    new_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Everything observed of a source until now.

    ``callback_at``: the last authentic callback. ``event_at``: the last one with a new event.
    ``refusals_in_a_row``: refusals since the last authentic callback. ``believed`` and
    ``refused``: counts of callbacks within the window of the refusal limit.
    """

    event_at: datetime | None = None
    callback_at: datetime | None = None
    handshake_at: datetime | None = None
    refused_at: datetime | None = None
    refusal_kind: str | None = None
    refusal_reason: str | None = None
    refusals_in_a_row: int = 0
    notice_at: datetime | None = None
    notice: str | None = None
    subscriptions: tuple[Subscription, ...] = ()
    believed: int = 0
    refused: int = 0
    changes: tuple[IdChange, ...] = ()

    @property
    def heard_at(self) -> datetime | None:
        """When the last callback or new event arrived, or None."""
        return max((at for at in (self.event_at, self.callback_at) if at), default=None)

    @property
    def lapses_at(self) -> datetime | None:
        """When the first subscription lapses, or None."""
        return min((one.lapses_at for one in self.subscriptions if one.lapses_at), default=None)

    def within(self, topics: Collection[str]) -> "Seen":
        """Return a copy that has only subscriptions to these topics. The others may lapse."""
        kept = tuple(one for one in self.subscriptions if one.topic in topics)
        return replace(self, subscriptions=kept)


@dataclass(frozen=True, slots=True)
class RefusalLimit:
    """The share of refused callbacks within a window that is too much. Zero turns it off."""

    share: float
    of_at_least: int
    within_seconds: float

    @property
    def lowered(self) -> "RefusalLimit":
        """The limit below which a raised alert is over."""
        return replace(self, share=self.share * SHARE_THAT_CLEARS, of_at_least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The configured expectations of a source. All ``_seconds`` are seconds."""

    silent_after_seconds: float | None = None
    handshake_within_seconds: float | None = None
    topics: tuple[str, ...] = ()
    refusals: RefusalLimit | None = None
    named_ids: frozenset[str] = frozenset()
    """The platform ids that the source's configuration and its rules name."""

    @property
    def lowered(self) -> "Expected":
        """The expectations below which a raised alert is over."""
        return replace(self, refusals=self.refusals and self.refusals.lowered)


def issues(seen: Seen, expected: Expected, now: datetime) -> list[SourceIssue]:
    """Return everything that is wrong, the gravest first."""
    order = list(IssueKind)
    found = (
        *_revoked(seen),
        *_refusing(seen, expected.refusals),
        *_silent(seen, expected, now),
        *_handshake_overdue(seen, expected, now),
        *_lapses(seen, expected, now),
        *_changed(seen, expected),
    )
    return sorted(found, key=lambda issue: order.index(issue.kind))


def _revoked(seen: Seen) -> Iterator[SourceIssue]:
    """A notice is open until the next handshake or, without handshakes, the next callback."""
    mended_at = seen.handshake_at or seen.heard_at
    if seen.notice_at and (mended_at is None or mended_at <= seen.notice_at):
        text = (
            f"the platform said {seen.notice!r} at {to_the_minute(seen.notice_at)}: subscribe again"
        )
        yield SourceIssue(IssueKind.REVOKED, text)


def _refusing(seen: Seen, limit: RefusalLimit | None) -> Iterator[SourceIssue]:
    count = seen.believed + seen.refused
    if limit is None or not limit.share or count < limit.of_at_least:
        return
    if seen.refused >= limit.share * count:
        within = timedelta(seconds=limit.within_seconds)
        text = (
            f"{seen.refused} of {count} callbacks within {within} were refused, most recently "
            f"because: {seen.refusal_reason}. The secret is wrong, or a stranger calls"
        )
        yield SourceIssue(IssueKind.REFUSING, text)


def _silent(seen: Seen, expected: Expected, now: datetime) -> Iterator[SourceIssue]:
    if expected.silent_after_seconds is None:
        return
    if seen.heard_at is None:
        yield SourceIssue(IssueKind.SILENT, "nothing was ever heard from it")
    elif now - seen.heard_at > timedelta(seconds=expected.silent_after_seconds):
        usual = timedelta(seconds=expected.silent_after_seconds)
        since = to_the_minute(seen.heard_at)
        text = f"nothing was heard since {since}; expected at least every {usual}"
        yield SourceIssue(IssueKind.SILENT, text)


def _handshake_overdue(seen: Seen, expected: Expected, now: datetime) -> Iterator[SourceIssue]:
    if expected.handshake_within_seconds is None or seen.handshake_at is None:
        return
    usual = timedelta(seconds=expected.handshake_within_seconds)
    if now - seen.handshake_at > usual:
        text = (
            f"the last handshake was at {to_the_minute(seen.handshake_at)}; expected within {usual}"
        )
        yield SourceIssue(IssueKind.LAPSING, text)


def _lapses(seen: Seen, expected: Expected, now: datetime) -> Iterator[SourceIssue]:
    known = {one.topic: one for one in seen.subscriptions}
    for topic in expected.topics:
        one = known.get(topic, Subscription(topic=topic, granted_at=None, lapses_at=None))
        said = f"; the hub said {one.answer}" if one.answer else ""
        if one.lapses_at is None:
            yield SourceIssue(IssueKind.LAPSED, f"never subscribed to {topic}{said}")
        elif one.is_lapsed(now):
            yield SourceIssue(
                IssueKind.LAPSED, f"{topic} lapsed at {to_the_minute(one.lapses_at)}{said}"
            )
        elif not one.has_left(SHARE_THAT_WORRIES, now):
            yield SourceIssue(
                IssueKind.LAPSING, f"{topic} lapses at {to_the_minute(one.lapses_at)}{said}"
            )


def _changed(seen: Seen, expected: Expected) -> Iterator[SourceIssue]:
    """A changed id matters if the configuration names the old id and not the new one."""
    for change in seen.changes:
        if change.old_id in expected.named_ids and change.new_id not in expected.named_ids:
            text = (
                f"{change.old_id} has had the id {change.new_id} since {to_the_minute(change.at)}: "
                "name that in the configuration, or nothing there counts"
            )
            yield SourceIssue(IssueKind.CHANGED, text)
