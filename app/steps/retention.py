"""Deletes or strips old data in small parts, by the retention of each kind."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Select, delete, exists, func, literal, or_, select, update

from app.domain.attempts import OPEN, State
from app.domain.clock import least_id
from app.steps import audit
from app.steps.accounts import Id, forget_unused
from app.steps.ledger import enter_under_every_key, insert_new
from app.steps.withdrawal import free_unless_paid
from app.storage.tables import (
    AlertRow,
    AttemptRow,
    AuditRow,
    AwardRow,
    BarRow,
    BaselineRow,
    BulkJobRow,
    EventRow,
    GrantRow,
    NoticeRow,
    PurgeRow,
    SubmissionRow,
    TransitionRow,
)


class Kept(StrEnum):
    """The kinds with a retention. Identities, the ledger and hashes of event keys are kept."""

    PAYLOADS = "payloads"
    CONTACTS = "contacts"
    EVENTS = "events"
    ATTEMPTS = "attempts"
    AUDIT = "audit"
    BULK_JOBS = "bulk_jobs"
    ALERTS = "alerts"


# The columns to clear when an event is stripped. Its hash still shows that it was received.
STRIPPED: Mapping[str, None] = dict.fromkeys(
    ("key", "actor", "actor_handle", "handle_hash", "target", "thing", "undoes", "payload")
)
_LEAST_ID = "00000000-0000-0000-0000-000000000000"
_OF_AN_ATTEMPT = (TransitionRow, SubmissionRow, BaselineRow, GrantRow)


@dataclass(frozen=True, slots=True)
class _Letting:
    """A kind's query for old ids, oldest first, and the function that deletes or strips them."""

    due: Callable[[datetime], Select[Any]]
    let_go: Callable[[Connection, Sequence[Any]], None]
    may_move: bool = False
    """Whether others may still change a row. Locked rows are then skipped."""


def purge(connection: Connection, kind: Kept, older_than: datetime, limit: int) -> int:
    """Delete or strip at most ``limit`` rows of a kind, oldest first; return the number."""
    if kind is Kept.AUDIT:
        return audit.purge(connection, older_than, limit)
    letting = _LETTINGS[kind]
    due = letting.due(older_than).limit(limit)
    if letting.may_move:
        due = due.with_for_update(skip_locked=True)
    ids = connection.execute(due).scalars().all()
    if ids:
        letting.let_go(connection, ids)
    return len(ids)


def is_due(connection: Connection, kind: Kept, older_than: datetime) -> bool:
    """Whether anything is old enough. It only reads, so an idle service writes nothing."""
    return connection.execute(_due(kind, older_than).limit(1)).first() is not None


def count(connection: Connection, kind: Kept, older_than: datetime) -> int:
    """Count the rows of a kind that are old enough."""
    due = _due(kind, older_than).subquery()
    return connection.execute(select(func.count()).select_from(due)).scalar_one()


def _due(kind: Kept, older_than: datetime) -> Select[Any]:
    if kind is Kept.AUDIT:
        return select(AuditRow.id).where(AuditRow.at < older_than).order_by(AuditRow.id)
    return _LETTINGS[kind].due(older_than)


def _events_after_the_last(kind: Kept, older_than: datetime) -> Select[Any]:
    """Events after the last stripped one. They sort by id, so one id stores the progress."""
    done = select(PurgeRow.until_id).where(PurgeRow.kind == kind).scalar_subquery()
    after = func.coalesce(done, literal(_LEAST_ID, EventRow.id.type))
    return (
        select(EventRow.id)
        .where(EventRow.id > after, EventRow.id < least_id(older_than))
        .order_by(EventRow.id)
    )


def _remember(connection: Connection, kind: Kept, ids: Sequence[str]) -> None:
    """Store the progress. Two purges at once do the same work twice, which is harmless."""
    row = {"kind": kind, "until_id": max(ids)}
    insert = insert_new(connection, PurgeRow, PurgeRow.kind)
    if connection.execute(insert, row).first() is None:
        further = update(PurgeRow).where(PurgeRow.kind == kind, PurgeRow.until_id < max(ids))
        connection.execute(further.values(until_id=max(ids)))


def _let_go_of_payloads(connection: Connection, ids: Sequence[str]) -> None:
    connection.execute(update(EventRow).where(EventRow.id.in_(ids)).values(payload=None))
    _remember(connection, Kept.PAYLOADS, ids)


def strip_events(connection: Connection, ids: Sequence[str]) -> None:
    """Strip everything personal from events. Only the fact that they were received stays."""
    connection.execute(update(EventRow).where(EventRow.id.in_(ids)).values(**STRIPPED))


def _let_go_of_events(connection: Connection, ids: Sequence[str]) -> None:
    named = select(EventRow.platform, EventRow.actor).where(EventRow.id.in_(ids))
    accounts = _accounts_in(connection, named)
    strip_events(connection, ids)
    forget_unused(connection, accounts)
    _remember(connection, Kept.EVENTS, ids)


def _ended(older_than: datetime) -> Select[Any]:
    """Attempts that were created and ended before a time."""
    return (
        select(AttemptRow.id)
        .where(
            AttemptRow.id < least_id(older_than),
            AttemptRow.updated_at < older_than,
            AttemptRow.state.not_in(OPEN),
            AttemptRow.lease_until.is_(None),
        )
        .order_by(AttemptRow.id)
    )


def _with_contacts(older_than: datetime) -> Select[Any]:
    # Must match the index word by word.
    has_contacts = or_(
        AttemptRow.email.is_not(None),
        AttemptRow.mobile.is_not(None),
        AttemptRow.claimed.is_not(None),
    )
    return _ended(older_than).where(has_contacts)


def _let_go_of_contacts(connection: Connection, ids: Sequence[str]) -> None:
    none = dict.fromkeys(("email", "mobile", "claimed"))
    connection.execute(update(AttemptRow).where(AttemptRow.id.in_(ids)).values(**none))


def _accounts_in(connection: Connection, named: Any) -> set[Id]:
    return {(row[0], row[1]) for row in connection.execute(named) if row[1] is not None}


def _let_go_of_attempts(connection: Connection, ids: Sequence[str]) -> None:
    """Delete attempts. The ledger keeps awards that may have been paid, and bars."""
    named = select(AttemptRow.platform, AttemptRow.account_id).where(AttemptRow.id.in_(ids))
    accounts = _accounts_in(connection, named)
    dead = select(AttemptRow.id).where(AttemptRow.id.in_(ids), AttemptRow.state == State.DEAD)
    for attempt_id in connection.execute(dead).scalars().all():
        # Nobody can replay it any more, so the same action may earn again.
        free_unless_paid(connection, attempt_id)
    letting_go = select(AttemptRow.__table__).where(AttemptRow.id.in_(ids))
    enter_under_every_key(connection, connection.execute(letting_go).all())
    for kept in (AwardRow, BarRow):
        connection.execute(update(kept).where(kept.attempt_id.in_(ids)).values(attempt_id=None))
    for table in _OF_AN_ATTEMPT:
        connection.execute(delete(table).where(table.attempt_id.in_(ids)))
    connection.execute(delete(AttemptRow).where(AttemptRow.id.in_(ids)))
    forget_unused(connection, accounts)


def _over(older_than: datetime) -> Select[Any]:
    """Bulk jobs that ended before a time."""
    return select(BulkJobRow.id).where(BulkJobRow.ended_at < older_than).order_by(BulkJobRow.id)


def _let_go_of_bulk_jobs(connection: Connection, ids: Sequence[str]) -> None:
    connection.execute(delete(BulkJobRow).where(BulkJobRow.id.in_(ids)))


def _cleared(older_than: datetime) -> Select[Any]:
    """Alerts that were cleared before a time and have no unsent notices."""
    is_waiting = exists().where(NoticeRow.alert_id == AlertRow.id, NoticeRow.next_at.is_not(None))
    return (
        select(AlertRow.id)
        .where(AlertRow.cleared_at < older_than, ~is_waiting)
        .order_by(AlertRow.id)
    )


def _let_go_of_alerts(connection: Connection, ids: Sequence[int]) -> None:
    connection.execute(delete(NoticeRow).where(NoticeRow.alert_id.in_(ids)))
    connection.execute(delete(AlertRow).where(AlertRow.id.in_(ids)))


_LETTINGS: Mapping[Kept, _Letting] = {
    Kept.PAYLOADS: _Letting(
        lambda before: _events_after_the_last(Kept.PAYLOADS, before), _let_go_of_payloads
    ),
    Kept.CONTACTS: _Letting(_with_contacts, _let_go_of_contacts, may_move=True),
    Kept.EVENTS: _Letting(
        lambda before: _events_after_the_last(Kept.EVENTS, before), _let_go_of_events
    ),
    Kept.ATTEMPTS: _Letting(_ended, _let_go_of_attempts, may_move=True),
    Kept.BULK_JOBS: _Letting(_over, _let_go_of_bulk_jobs),
    Kept.ALERTS: _Letting(_cleared, _let_go_of_alerts),
}


def bounds(kept_seconds: Mapping[Kept, float], now: datetime) -> dict[Kept, datetime]:
    """Return for each kind the time before which its rows are old enough."""
    return {kind: now - timedelta(seconds=seconds) for kind, seconds in kept_seconds.items()}
