"""Stores what all processes observe of each source."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, or_, select, update

from app.domain.sources import (
    LONGEST_WINDOW_SECONDS,
    Expected,
    IdChange,
    Seen,
    Subscription,
)
from app.steps.health import last_event_at
from app.steps.ledger import insert_new
from app.storage.hashes import hashes_if_any, hashes_of
from app.storage.tables import (
    SourceChangeRow,
    SourceMinuteRow,
    SourceReasonRow,
    SourceRow,
    SourceSecretRow,
    SubscriptionRow,
)

_COUNTED = select(
    func.coalesce(func.sum(SourceMinuteRow.believed), 0).label("believed"),
    func.coalesce(func.sum(SourceMinuteRow.refused), 0).label("refused"),
).where(SourceMinuteRow.source == bindparam("source"), SourceMinuteRow.minute > bindparam("since"))
_CHANGES = select(SourceChangeRow.__table__).order_by(SourceChangeRow.old_id)
_REASONS = select(SourceReasonRow.reason)
# Partners choose their own texts, so the number of stored reasons is limited.
MOST_REASONS = 100
OTHER_REASON = "other reasons"
_TOPICS = select(SubscriptionRow.__table__).order_by(SubscriptionRow.topic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unrewarded:
    """The number of a source's events that earned nothing for one reason, and when."""

    reason: str
    count: int
    first_at: datetime
    last_at: datetime


@dataclass(slots=True, kw_only=True)
class Sighting:
    """What one process observed of one source since its last write; the latest of each kind.

    ``refusals``: refused callbacks since the last authentic one. ``believed_in`` and
    ``refused_in``: callbacks by minute. ``reasons``: why events earned nothing.
    """

    callback_at: datetime | None = None
    handshake_at: datetime | None = None
    refused_at: datetime | None = None
    refusal_kind: str = ""
    refusal_reason: str = ""
    refusals: int = 0
    notice_at: datetime | None = None
    notice: str = ""
    granted_seconds: dict[str, float] = field(default_factory=dict)
    believed_in: Counter[datetime] = field(default_factory=Counter)
    refused_in: Counter[datetime] = field(default_factory=Counter)
    fitted_at: dict[str, datetime] = field(default_factory=dict, repr=False)
    """When each secret last proved a callback."""
    changes: dict[str, IdChange] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    reason_at: datetime | None = None

    def note_reason(self, reason: str, at: datetime) -> None:
        """Count one thing that earned nothing. After `MOST_REASONS` reasons, others share one."""
        is_known = reason in self.reasons or len(self.reasons) < MOST_REASONS
        self.reasons[reason if is_known else OTHER_REASON] += 1
        self.reason_at = at

    def absorb(self, later: "Sighting") -> None:
        """Add a later sighting to this one."""
        self.refusals = later.refusals + (0 if later.callback_at else self.refusals)
        self.callback_at = later.callback_at or self.callback_at
        self.granted_seconds |= later.granted_seconds
        self.believed_in += later.believed_in
        self.refused_in += later.refused_in
        self.fitted_at |= later.fitted_at
        self.changes |= later.changes
        self.reasons += later.reasons
        self.reason_at = later.reason_at or self.reason_at
        self.handshake_at = later.handshake_at or self.handshake_at
        if later.refused_at:
            self.refused_at, self.refusal_kind = later.refused_at, later.refusal_kind
            self.refusal_reason = later.refusal_reason
        if later.notice_at:
            self.notice_at, self.notice = later.notice_at, later.notice


def keep(connection: Connection, sightings: Mapping[str, Sighting]) -> None:
    """Store sightings. Newer stored values stay."""
    # All transactions use the same order, so they cannot deadlock.
    for source in sorted(sightings):
        seen = sightings[source]
        row = {"source": source, "refusals_in_a_row": 0}
        connection.execute(insert_new(connection, SourceRow), row)
        _keep_last(connection, source, "callback_at", seen.callback_at)
        _keep_last(connection, source, "handshake_at", seen.handshake_at)
        refusal = {"refusal_kind": seen.refusal_kind, "refusal_reason": seen.refusal_reason}
        _keep_last(connection, source, "refused_at", seen.refused_at, **refusal)
        _keep_last(connection, source, "notice_at", seen.notice_at, notice=seen.notice)
        _count(connection, source, seen)
        for minute in sorted({*seen.believed_in, *seen.refused_in}):
            _count_in(connection, source, minute, seen)
        for topic in sorted(seen.granted_seconds):
            _grant(connection, source, topic, seen)
        for secret in sorted(seen.fitted_at):
            _fitted(connection, source, secret, seen.fitted_at[secret])
        for change in sorted(seen.changes.values(), key=attrgetter("old_id")):
            _change(connection, source, change)
        _count_reasons(connection, source, seen)


def _fitted(connection: Connection, source: str, secret: str, at: datetime) -> None:
    row = {"source": source, "mark": hashes_of(connection).secret(source, secret), "fitted_at": at}
    insert = insert_new(connection, SourceSecretRow, SourceSecretRow.mark)
    if connection.execute(insert, row).first() is None:
        ours = (SourceSecretRow.source == source, SourceSecretRow.mark == row["mark"])
        is_later = SourceSecretRow.fitted_at < at
        connection.execute(update(SourceSecretRow).where(*ours, is_later).values(fitted_at=at))


def secrets_fitted(
    connection: Connection, secrets: Mapping[str, Iterable[str]]
) -> dict[tuple[str, str], datetime]:
    """Return when each secret last proved a callback, by source and secret. Others are absent."""
    hashes = hashes_if_any(connection)
    if hashes is None:
        return {}
    rows = connection.execute(
        select(SourceSecretRow.__table__).where(SourceSecretRow.source.in_(list(secrets)))
    )
    fitted_at = {(row.source, row.mark): row.fitted_at for row in rows}
    found = {
        (source, one): fitted_at.get((source, hashes.secret(source, one)))
        for source, some in secrets.items()
        for one in some
    }
    return {which: at for which, at in found.items() if at is not None}


def _change(connection: Connection, source: str, change: IdChange) -> None:
    row = {"source": source, **asdict(change)}
    insert = insert_new(connection, SourceChangeRow, SourceChangeRow.old_id)
    if connection.execute(insert, row).first() is None:
        ours = (SourceChangeRow.source == source, SourceChangeRow.old_id == change.old_id)
        values = {"new_id": change.new_id, "at": change.at}
        connection.execute(
            update(SourceChangeRow).where(*ours, SourceChangeRow.at < change.at).values(values)
        )


def _count_reasons(connection: Connection, source: str, seen: Sighting) -> None:
    if seen.reason_at is None:
        return
    known = set(connection.execute(_REASONS.where(SourceReasonRow.source == source)).scalars())
    counts: Counter[str] = Counter()
    for reason, count in seen.reasons.items():
        is_room = reason in known or len(known | counts.keys()) < MOST_REASONS
        counts[reason if is_room else OTHER_REASON] += count
    for reason in sorted(counts):
        row = {"source": source, "reason": reason, "count": 0}
        times = {"first_at": seen.reason_at, "last_at": seen.reason_at}
        connection.execute(insert_new(connection, SourceReasonRow), {**row, **times})
        this = (SourceReasonRow.source == source, SourceReasonRow.reason == reason)
        values = {"count": SourceReasonRow.count + counts[reason], "last_at": seen.reason_at}
        connection.execute(update(SourceReasonRow).where(*this).values(values))


def reasons_of(connection: Connection, sources: Iterable[str]) -> dict[str, list[Unrewarded]]:
    """Return why events of each source earned nothing, most frequent reason first."""
    found: dict[str, list[Unrewarded]] = {name: [] for name in sources}
    statement = (
        select(SourceReasonRow.__table__)
        .where(SourceReasonRow.source.in_(found))
        .order_by(SourceReasonRow.count.desc(), SourceReasonRow.reason)
    )
    for row in connection.execute(statement):
        found[row.source].append(
            Unrewarded(
                reason=row.reason,
                count=row._mapping["count"],
                first_at=row.first_at,
                last_at=row.last_at,
            )
        )
    return found


def _keep_last(
    connection: Connection, source: str, name: str, at: datetime | None, **more: str
) -> None:
    if at is None:
        return
    column = getattr(SourceRow, name)
    is_later = or_(column.is_(None), column < at)
    values = {name: at, **more}
    connection.execute(update(SourceRow).where(SourceRow.source == source, is_later).values(values))


def _count(connection: Connection, source: str, seen: Sighting) -> None:
    if not seen.refusals and not seen.callback_at:
        return
    before: Any = 0 if seen.callback_at else SourceRow.refusals_in_a_row
    values = {"refusals_in_a_row": before + seen.refusals}
    connection.execute(update(SourceRow).where(SourceRow.source == source).values(values))


def _count_in(connection: Connection, source: str, minute: datetime, seen: Sighting) -> None:
    ours = SourceMinuteRow.source == source
    row = {"source": source, "minute": minute, "believed": 0, "refused": 0}
    insert = insert_new(connection, SourceMinuteRow, SourceMinuteRow.minute)
    if connection.execute(insert, row).first() is not None:
        forgotten = minute - timedelta(seconds=LONGEST_WINDOW_SECONDS)
        connection.execute(delete(SourceMinuteRow).where(ours, SourceMinuteRow.minute < forgotten))
    values = {
        "believed": SourceMinuteRow.believed + seen.believed_in[minute],
        "refused": SourceMinuteRow.refused + seen.refused_in[minute],
    }
    this = update(SourceMinuteRow).where(ours, SourceMinuteRow.minute == minute)
    connection.execute(this.values(values))


def _grant(connection: Connection, source: str, topic: str, seen: Sighting) -> None:
    at, seconds = seen.handshake_at, seen.granted_seconds[topic]
    if at is None:
        return
    ends = at + timedelta(seconds=seconds)
    connection.execute(insert_new(connection, SubscriptionRow), {"source": source, "topic": topic})
    ours = (SubscriptionRow.source == source, SubscriptionRow.topic == topic)
    is_later = or_(SubscriptionRow.granted_at.is_(None), SubscriptionRow.granted_at < at)
    values = {"granted_at": at, "lapses_at": ends, "answer": None}
    connection.execute(update(SubscriptionRow).where(*ours, is_later).values(values))


def minute_of(moment: datetime) -> datetime:
    """Return the start of the minute."""
    return moment.replace(second=0, microsecond=0)


def judged_seen(
    connection: Connection, expected: Mapping[str, Expected], now: datetime
) -> dict[str, Seen]:
    """Return the observations of each source, with the counts for its refusal limit."""
    seen = seen_of(connection, expected)
    for name, one in expected.items():
        if one.refusals is not None:
            since = now - timedelta(seconds=one.refusals.within_seconds)
            counted = connection.execute(_COUNTED, {"source": name, "since": since}).one()
            seen[name] = replace(seen[name], believed=counted.believed, refused=counted.refused)
    return seen


def seen_of(connection: Connection, sources: Iterable[str]) -> dict[str, Seen]:
    """Return the observations of each of these sources, without counts of refusals."""
    names = list(sources)
    events = last_event_at(connection, names)
    rows = connection.execute(select(SourceRow.__table__).where(SourceRow.source.in_(names)))
    kept = {row.source: row for row in rows}
    topics = connection.execute(_TOPICS.where(SubscriptionRow.source.in_(names))).all()
    changed = connection.execute(_CHANGES.where(SourceChangeRow.source.in_(names))).all()
    return {
        name: _seen(
            events[name],
            kept.get(name),
            subscriptions=tuple(_subscription(row) for row in topics if row.source == name),
            changes=tuple(
                IdChange(row.old_id, row.new_id, row.at) for row in changed if row.source == name
            ),
        )
        for name in names
    }


def _seen(event_at: datetime | None, row: Row[Any] | None, **more: Any) -> Seen:
    if row is None:
        return Seen(event_at=event_at, **more)
    known = {name: getattr(row, name) for name in row._fields if name != "source"}
    return Seen(event_at=event_at, **more, **known)


def _subscription(row: Row[Any]) -> Subscription:
    return Subscription(
        topic=row.topic,
        granted_at=row.granted_at,
        lapses_at=row.lapses_at,
        asked_at=row.asked_at,
        answer=row.answer,
    )
