"""An append-only log of what people and API keys changed."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from app.storage.tables import AuditDoorRow, AuditRow

MAX_DETAILS = 4_000


class Change(StrEnum):
    """The kinds of changes. The values are stored, searched and shown."""

    ATTEMPT_REPLAYED = "attempt.replayed"
    ATTEMPT_CANCELLED = "attempt.cancelled"
    BAR_LIFTED = "bar.lifted"
    BULK_STARTED = "bulk.started"
    BULK_STOPPED = "bulk.stopped"
    BULK_ENDED = "bulk.ended"
    IDENTITY_LINKED = "identity.linked"
    IDENTITY_MOVED = "identity.moved"
    IDENTITY_UNLINKED = "identity.unlinked"
    KEY_CREATED = "key.created"
    KEY_REVOKED = "key.revoked"
    CONFIGURATION_LOADED = "configuration.loaded"
    CUSTOMER_ERASED = "customer.erased"
    ALERTS_TESTED = "alerts.tested"
    DATABASE_PURGED = "database.purged"
    DATABASE_RESTORED = "database.restored"


_OF_ACCOUNTS = (Change.IDENTITY_LINKED, Change.IDENTITY_MOVED, Change.IDENTITY_UNLINKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A filter for entries. An entry must fulfil all criteria that are given.

    ``by``: a prefix of the actor, such as ``key:0a1b2c3d4e5f``. ``from_at`` is included, ``to_at``
    is not.
    """

    by: str | None = None
    changes: tuple[Change, ...] = ()
    subject: str | None = None
    customer_id: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None


def record(
    connection: Connection,
    change: Change,
    *,
    by: str,
    now: datetime,
    subject: str | None = None,
    customer_id: str | None = None,
    **details: Any,
) -> None:
    """Add an entry in the transaction of the change: both are stored, or neither."""
    connection.execute(
        insert(AuditRow).values(
            at=now,
            caused_by=by[:200],
            change=change,
            subject=subject,
            customer_id=customer_id,
            details=_written(details),
        )
    )


def page(
    connection: Connection, wanted: Wanted, limit: int, before: int | None = None
) -> list[Row[Any]]:
    """Return at most ``limit`` entries, newest first. ``before``: only ids below this one."""
    statement = select(AuditRow.__table__)
    if wanted.by is not None:
        statement = statement.where(AuditRow.caused_by.startswith(wanted.by, autoescape=True))
    if wanted.changes:
        statement = statement.where(AuditRow.change.in_(wanted.changes))
    if wanted.subject is not None:
        statement = statement.where(AuditRow.subject == wanted.subject)
    if wanted.customer_id is not None:
        statement = statement.where(AuditRow.customer_id == wanted.customer_id)
    if wanted.from_at is not None:
        statement = statement.where(AuditRow.at >= wanted.from_at)
    if wanted.to_at is not None:
        statement = statement.where(AuditRow.at < wanted.to_at)
    if before is not None:
        statement = statement.where(AuditRow.id < before)
    return list(connection.execute(statement.order_by(AuditRow.id.desc()).limit(limit)))


def purge(connection: Connection, older_than: datetime, limit: int) -> int:
    """Delete at most ``limit`` of the oldest entries before a time; return the number."""
    old = select(AuditRow.id).where(AuditRow.at < older_than).order_by(AuditRow.id).limit(limit)
    with _door(connection):
        return connection.execute(delete(AuditRow).where(AuditRow.id.in_(old))).rowcount


def forget(connection: Connection, customer_id: str, subjects: Iterable[str]) -> int:
    """Remove a customer id and these accounts from the log; return the number of entries.

    The change, its time and its actor stay.
    """
    accounts = list(subjects)
    with _door(connection):
        is_theirs = (AuditRow.customer_id == customer_id) | AuditRow.subject.in_(accounts)
        # This also covers the customer's former accounts. Only this log knows them.
        was_linked = (AuditRow.customer_id == customer_id) & AuditRow.change.in_(_OF_ACCOUNTS)
        by_account = AuditRow.subject.in_(accounts) | was_linked
        connection.execute(update(AuditRow).where(by_account).values(subject="erased"))
        changed = connection.execute(update(AuditRow).where(is_theirs).values(customer_id=None))
        return changed.rowcount


@contextmanager
def _door(connection: Connection) -> Iterator[None]:
    """Allow changes of entries inside this transaction. Triggers refuse all others."""
    connection.execute(insert(AuditDoorRow).values(id=1))
    yield
    connection.execute(delete(AuditDoorRow))


def _written(details: dict[str, Any]) -> str | None:
    """Return the details as JSON, or only their length if they are too long."""
    if not details:
        return None
    text = json.dumps(details, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_DETAILS else json.dumps({"leftOut": len(text)})
