"""What is wrong with a source, by what was seen of it? Pure: it is told what, and when it is."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

# Over no longer a time can refusals be counted: what is older is forgotten.
LONGEST_WINDOW_SECONDS = 86_400
# A subscription is renewed at half of its time; this share of it is left when that has failed.
SHARE_THAT_WORRIES = 0.25
# What was raised at a limit is over at this part of it: what stays close to one is told once.
SHARE_THAT_CLEARS = 0.5


class IssueKind(StrEnum):
    """What can be wrong with a source."""

    REVOKED = "revoked"
    REFUSING = "refusing"
    SILENT = "silent"
    LAPSING = "lapsing"
    LAPSED = "lapsed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class SourceIssue:
    """One thing that is wrong, and in what words a person is told so."""

    kind: IssueKind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """The platform's promise to tell us of a topic, until it lapses."""

    topic: str
    granted_at: datetime | None
    lapses_at: datetime | None
    asked_at: datetime | None = None
    answer: str | None = None

    def is_lapsed(self, now: datetime) -> bool:
        return self.lapses_at is None or self.lapses_at <= now

    def has_left(self, share: float, now: datetime) -> bool:
        """Whether more than this share of its time is still to come."""
        if self.granted_at is None or self.lapses_at is None:
            return False
        return (self.lapses_at - now) > (self.lapses_at - self.granted_at) * share


@dataclass(frozen=True, slots=True)
class IdChange:
    """Something that the configuration may name by its old id has another one."""

    old_id: str
    new_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of a source until now.

    ``callback_at`` is any callback that was believed, ``event_at`` only one that told us something
    new. ``refusals_in_a_row`` counts those since the last that was believed; ``believed`` and
    ``refused``, callbacks within the window that refusals are judged by.
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
        return max((at for at in (self.event_at, self.callback_at) if at), default=None)

    @property
    def lapses_at(self) -> datetime | None:
        """When the first of its subscriptions ends."""
        return min((one.lapses_at for one in self.subscriptions if one.lapses_at), default=None)

    def within(self, topics: Collection[str]) -> "Seen":
        """The same without subscriptions to what is no longer wanted: those may well lapse."""
        kept = tuple(one for one in self.subscriptions if one.topic in topics)
        return replace(self, subscriptions=kept)


@dataclass(frozen=True, slots=True)
class RefusalLimit:
    """From which share of the callbacks within a window on refusing them is wrong; zero: never."""

    share: float
    of_at_least: int
    within_seconds: float

    @property
    def lowered(self) -> "RefusalLimit":
        """From where on it is no longer wrong, once it was."""
        return replace(self, share=self.share * SHARE_THAT_CLEARS, of_at_least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a source does while all is well, as far as anybody said so."""

    silent_after_seconds: float | None = None
    handshake_within_seconds: float | None = None
    topics: tuple[str, ...] = ()
    refusals: RefusalLimit | None = None
    named_ids: frozenset[str] = frozenset()
    """What the source and its rules name by an id of the platform."""

    @property
    def lowered(self) -> "Expected":
        """What is expected before an alert that was raised is over."""
        return replace(self, refusals=self.refusals and self.refusals.lowered)


def issues(seen: Seen, expected: Expected, now: datetime) -> list[SourceIssue]:
    """Everything that is wrong, the gravest first."""
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
    """A notice stands until the endpoint is proved anew, or, where it never is, heard again."""
    mended_at = seen.handshake_at or seen.heard_at
    if seen.notice_at and (mended_at is None or mended_at <= seen.notice_at):
        text = (
            f"the platform said {seen.notice!r} at {_format_time(seen.notice_at)}: subscribe again"
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
        since = _format_time(seen.heard_at)
        text = f"nothing was heard since {since}; expected at least every {usual}"
        yield SourceIssue(IssueKind.SILENT, text)


def _handshake_overdue(seen: Seen, expected: Expected, now: datetime) -> Iterator[SourceIssue]:
    if expected.handshake_within_seconds is None or seen.handshake_at is None:
        return
    usual = timedelta(seconds=expected.handshake_within_seconds)
    if now - seen.handshake_at > usual:
        text = (
            f"the last handshake was at {_format_time(seen.handshake_at)}; expected within {usual}"
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
                IssueKind.LAPSED, f"{topic} lapsed at {_format_time(one.lapses_at)}{said}"
            )
        elif not one.has_left(SHARE_THAT_WORRIES, now):
            yield SourceIssue(
                IssueKind.LAPSING, f"{topic} lapses at {_format_time(one.lapses_at)}{said}"
            )


def _changed(seen: Seen, expected: Expected) -> Iterator[SourceIssue]:
    """A changed id matters while the configuration names the old one and not the new one."""
    for change in seen.changes:
        if change.old_id in expected.named_ids and change.new_id not in expected.named_ids:
            text = (
                f"{change.old_id} has had the id {change.new_id} since {_format_time(change.at)}: "
                "name that in the configuration, or nothing there counts"
            )
            yield SourceIssue(IssueKind.CHANGED, text)


def _format_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
