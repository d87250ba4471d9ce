"""Who changed what? A log of what people and keys did, to which only rows are added."""

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
    """What was done. Stored, searched and shown under these words."""

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
    """Which entries are meant: those that fulfil every criterion given.

    ``by``: the beginning of who did it, such as ``key:0a1b2c3d4e5f``. ``from_at`` is included,
    ``to_at`` is not.
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
    """Add an entry in the transaction of the change itself: both are kept, or neither is."""
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
    """At most ``limit`` entries, the newest first; ``before``: only those older than this one."""
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
    """Let go of the oldest entries, as the retention of this log has it; how many."""
    old = select(AuditRow.id).where(AuditRow.at < older_than).order_by(AuditRow.id).limit(limit)
    with _door(connection):
        return connection.execute(delete(AuditRow).where(AuditRow.id.in_(old))).rowcount


def forget(connection: Connection, customer_id: str, subjects: Iterable[str]) -> int:
    """Take a person out of the log: their customer id, and their accounts; how many entries.

    What was done, when and by whom stays.
    """
    accounts = list(subjects)
    with _door(connection):
        is_theirs = (AuditRow.customer_id == customer_id) | AuditRow.subject.in_(accounts)
        # Those that were theirs before, too: nothing but this log knows them.
        was_linked = (AuditRow.customer_id == customer_id) & AuditRow.change.in_(_OF_ACCOUNTS)
        by_account = AuditRow.subject.in_(accounts) | was_linked
        connection.execute(update(AuditRow).where(by_account).values(subject="erased"))
        changed = connection.execute(update(AuditRow).where(is_theirs).values(customer_id=None))
        return changed.rowcount


@contextmanager
def _door(connection: Connection) -> Iterator[None]:
    """While it is open, in this transaction only, the database lets entries be changed."""
    connection.execute(insert(AuditDoorRow).values(id=1))
    yield
    connection.execute(delete(AuditDoorRow))


def _written(details: dict[str, Any]) -> str | None:
    """As JSON; what does not fit is left out as a whole, never cut in two."""
    if not details:
        return None
    text = json.dumps(details, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_DETAILS else json.dumps({"leftOut": len(text)})
