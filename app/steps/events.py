"""Searches the events that platforms sent, newest first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, exists, select, union

from app.domain.clock import least_id
from app.steps.history import begins, event_sources, ids_beginning
from app.storage.hashes import hashes_if_any
from app.storage.tables import EVENTS, AttemptRow, EventRow
from app.storage.vault import vault_of

# Lists leave the payload out: it is as long as the callback.
_SHOWN = [column for column in EVENTS.columns if column.name != "payload"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """A filter for events. An event must fulfil all criteria that are given.

    ``from_at`` is included, ``to_at`` is not; both apply to the time of receipt. ``q`` searches
    handles only with ``finds_handles``: some roles may not see them.
    """

    source: str | None = None
    action: str | None = None
    account_id: str | None = None
    target: str | None = None
    matched: bool | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None
    q: str | None = None
    finds_handles: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """An attempt that an event created or proved."""

    id: str
    challenge_id: int
    state: str


def page(
    connection: Connection, wanted: EventFilter, limit: int, before: str | None = None
) -> list[Any]:
    """Return at most ``limit`` events, newest first. ``before``: only events with a smaller id."""
    statement = _where(select(*_SHOWN), connection, wanted)
    if before is not None:
        statement = statement.where(EventRow.id < before)
    rows = connection.execute(statement.order_by(EventRow.id.desc()).limit(limit))
    vault = vault_of(connection)
    return [vault.open_row(EVENTS, row) for row in rows]


def find(connection: Connection, event_id: str) -> Any:
    """Return one event with its payload, or None."""
    found = select(EventRow.__table__).where(EventRow.id == event_id)
    row = connection.execute(found).one_or_none()
    return row and vault_of(connection).open_row(EVENTS, row)


def attempts_of(connection: Connection, event_ids: Iterable[str]) -> Mapping[str, Sequence[Made]]:
    """Return the attempts of each of these events, by the event's id."""
    found: dict[str, list[Made]] = {event_id: [] for event_id in event_ids}
    statement = (
        select(AttemptRow.event_id, AttemptRow.id, AttemptRow.challenge_id, AttemptRow.state)
        .where(AttemptRow.event_id.in_(found))
        .order_by(AttemptRow.id)
    )
    for row in connection.execute(statement):
        found[str(row.event_id)].append(Made(row.id, row.challenge_id, row.state))
    return found


def _where(statement: Select[Any], connection: Connection, wanted: EventFilter) -> Select[Any]:
    equal = {
        EventRow.source: wanted.source,
        EventRow.action: wanted.action,
        EventRow.actor: wanted.account_id,
        EventRow.target: wanted.target,
    }
    statement = statement.where(*(c == value for c, value in equal.items() if value is not None))
    if wanted.matched is not None:
        statement = statement.where(_is_matched() if wanted.matched else _is_unmatched())
    if wanted.q is not None:
        statement = statement.where(_found_by(connection, wanted))
    return statement.where(*_received_between(wanted.from_at, wanted.to_at))


def _is_unmatched() -> ColumnElement[bool]:
    return EventRow.reason.is_not(None)


def _is_matched() -> ColumnElement[bool]:
    """Whether an event fits a rule. Older versions did not store it: then an attempt shows it."""
    made = exists().where(AttemptRow.event_id == EventRow.id)
    return (EventRow.fitted > 0) | (EventRow.fitted.is_(None) & made)


def _received_between(
    from_at: datetime | None, to_at: datetime | None
) -> list[ColumnElement[bool]]:
    """Bounds for id and time: an id begins with the milliseconds of `received_at`."""
    bounds: list[ColumnElement[bool]] = []
    if from_at is not None:
        bounds += [EventRow.id >= least_id(from_at), EventRow.received_at >= from_at]
    if to_at is not None:
        next_id = least_id(to_at + timedelta(milliseconds=1))
        bounds += [EventRow.id < next_id, EventRow.received_at < to_at]
    return bounds


def _found_by(connection: Connection, wanted: EventFilter) -> ColumnElement[bool]:
    """Match the account, key, id or handle in ``q``. Each search uses an index."""
    text = wanted.q or ""
    found = [select(EventRow.id).where(begins(connection, EventRow.actor, text))]
    hashes = hashes_if_any(connection)
    if hashes is not None:
        keys = (hashes.event_key(text), hashes.excluded_event_key(text))
        is_in_a_source = EventRow.source.in_(select(event_sources().c.source))
        found.append(select(EventRow.id).where(is_in_a_source, EventRow.key_hash.in_(keys)))
    if hashes is not None and wanted.finds_handles:
        found.append(select(EventRow.id).where(EventRow.handle_hash.in_(hashes.handles(text))))
    span = ids_beginning(text)
    if span is not None:
        found.append(select(EventRow.id).where(EventRow.id.between(*span)))
    return EventRow.id.in_(union(*found))
