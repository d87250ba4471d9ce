"""Erases a customer's data. The award ledger keeps hashes, so nothing is paid twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from app.domain.attempts import CANCELLABLE, State
from app.domain.clock import new_id
from app.steps import audit
from app.steps.accounts import forget_ids, locked
from app.steps.audit import Change, record
from app.steps.ledger import enter_under_every_key
from app.steps.retention import strip_events
from app.steps.transitions import change_state
from app.steps.withdrawal import free_unless_paid, withdraw
from app.storage.hashes import hashes_of
from app.storage.tables import (
    ERASURES,
    AttemptRow,
    AuditRow,
    ErasureRow,
    EventRow,
    GrantRow,
    IdentityRow,
    SubmissionRow,
    TransitionRow,
)
from app.storage.vault import vault_of

# Attempts or events per transaction. On SQLite a callback waits for it.
SLICE = 50
ERASED = "the customer was erased"
_BY = "erasure"
# Every process runs it each second, so it is built once.
_RUNNING = select(ErasureRow.id).where(ErasureRow.completed_at.is_(None)).order_by(ErasureRow.id)


@dataclass(frozen=True, slots=True)
class _Account:
    platform: str
    account_id: str

    @property
    def subject(self) -> str:
        """The account's name in the audit log."""
        return f"{self.platform}/{self.account_id}"


def request(connection: Connection, customer_id: str, by: str, now: datetime) -> str:
    """Store a request to erase a customer, and return the erasure's id. `advance` does the work.

    Returns the latest erasure of the customer if it is running or nothing is left to erase.
    """
    customer_hash = hashes_of(connection).customer(customer_id)
    known = _latest(connection, customer_hash)
    if known is not None and (known.completed_at is None or not _is_known(connection, customer_id)):
        return str(known.id)
    row = {
        "id": new_id(now),
        "customer_hash": customer_hash,
        "customer_id": customer_id,
        "caused_by": by[:200],
        "requested_at": now,
        "completed_at": None,
        **dict.fromkeys(("attempts", "events", "identities"), 0),
    }
    connection.execute(insert(ErasureRow).values(vault_of(connection).seal_row(ERASURES, row)))
    # The log must not name the customer.
    record(connection, Change.CUSTOMER_ERASED, by=by, now=now, subject=str(row["id"]))
    return str(row["id"])


def find(connection: Connection, erasure_id: str) -> Row[Any]:
    """Return one erasure. Raises `NoResultFound` if there is none."""
    return connection.execute(select(ERASURES).where(ErasureRow.id == erasure_id)).one()


def running(connection: Connection) -> Sequence[str]:
    """Return the ids of the unfinished erasures, oldest first."""
    return connection.execute(_RUNNING).scalars().all()


def advance(connection: Connection, erasure_id: str, now: datetime, size: int = SLICE) -> bool:
    """Erase one slice. False: the erasure has ended, or waits for submissions in flight.

    Any process may call it at any time, also after a crash.
    """
    chosen = select(ERASURES).where(ErasureRow.id == erasure_id).with_for_update()
    row = connection.execute(chosen).one()
    if row.completed_at is not None:
        return False
    customer_id = vault_of(connection).open_row(ERASURES, row).customer_id
    # 1. Attempts that no worker has leased.
    attempts = _attempts(connection, customer_id, size)
    if attempts:
        return _note(connection, row, _erase_attempts(connection, attempts, now))
    # 2. Attempts in flight: mark them and wait.
    if _hold_back(connection, customer_id, now):
        return False
    # 3. One account per call: its unlinked attempts and its events first, then the link.
    for account in _accounts(connection, customer_id):
        ids = _own_ids(connection, customer_id, account)
        done = _erase_account(connection, account.platform, ids, size, now)
        return _note(connection, row, done or _unlink(connection, customer_id, account, ids))
    # 4. The rest of the audit log.
    audit.forget(connection, customer_id, ())
    _complete(connection, row, now)
    return False


def _latest(connection: Connection, customer_hash: str) -> Row[Any] | None:
    """The customer's newest erasure, locked: it cannot end while the customer is added again."""
    statement = select(ERASURES).where(ErasureRow.customer_hash == customer_hash)
    newest = statement.order_by(ErasureRow.id.desc()).limit(1)
    return connection.execute(newest.with_for_update()).one_or_none()


def _is_known(connection: Connection, customer_id: str) -> bool:
    theirs = (
        select(AttemptRow.id).where(AttemptRow.customer_id == customer_id),
        select(IdentityRow.account_id).where(IdentityRow.customer_id == customer_id),
        select(AuditRow.id).where(AuditRow.customer_id == customer_id),
    )
    return any(connection.execute(one.limit(1)).first() is not None for one in theirs)


def _attempts(connection: Connection, customer_id: str, size: int) -> list[Row[Any]]:
    """Return and lock some of the customer's attempts that no worker has leased."""
    statement = (
        select(AttemptRow.__table__)
        .where(AttemptRow.customer_id == customer_id, AttemptRow.lease_until.is_(None))
        .order_by(AttemptRow.id)
        .limit(size)
    )
    return list(connection.execute(statement.with_for_update()))


def _hold_back(connection: Connection, customer_id: str, now: datetime) -> bool:
    """Mark attempts in flight so that no worker leases them again; return whether any exist."""
    theirs = update(AttemptRow).where(AttemptRow.customer_id == customer_id)
    return connection.execute(theirs.values(erased_at=now)).rowcount > 0


def _erase_attempts(
    connection: Connection, attempts: Sequence[Row[Any]], now: datetime
) -> dict[str, int]:
    for attempt in attempts:
        _end(connection, attempt, now)
    ids = [attempt.id for attempt in attempts]
    events = [attempt.event_id for attempt in attempts if attempt.event_id is not None]
    enter_under_every_key(connection, attempts)
    strip_events(connection, events)
    _strip_attempts(connection, ids, now)
    return {"attempts": len(ids), "events": len(events)}


def _end(connection: Connection, attempt: Row[Any], now: datetime) -> None:
    """End the attempt. An award that may have been paid stays in the ledger."""
    state = State(attempt.state)
    if state in CANCELLABLE and state is not State.DEAD:
        withdraw(connection, attempt, reason=ERASED, caused_by=_BY, now=now)
    elif state is State.DEAD:
        # It stays `dead` for the statistics. Nobody can replay it.
        free_unless_paid(connection, attempt.id)
    elif state is State.ACCEPTED:
        change_state(
            connection,
            attempt.id,
            state,
            State.UNCONFIRMED,
            reason=ERASED,
            caused_by=_BY,
            now=now,
        )


def _strip_attempts(connection: Connection, ids: Sequence[str], now: datetime) -> None:
    """Remove everything personal. What was attempted, when, and its result stay for statistics."""
    names = ("customer_id", "account_id", "email", "mobile", "claimed", "target")
    connection.execute(
        update(AttemptRow)
        .where(AttemptRow.id.in_(ids))
        .values(**dict.fromkeys(names), occurrence="", reason=ERASED, erased_at=now)
    )
    connection.execute(
        update(TransitionRow).where(TransitionRow.attempt_id.in_(ids)).values(reason=None)
    )
    connection.execute(
        update(SubmissionRow)
        .where(SubmissionRow.attempt_id.in_(ids))
        .values(message=None, request_id=None)
    )
    granted = select(GrantRow.attempt_id).where(GrantRow.attempt_id.in_(ids))
    for grant in connection.execute(granted).all():
        # The reference stays unique, so the reward stays credited to this attempt.
        connection.execute(
            update(GrantRow)
            .where(GrantRow.attempt_id == grant.attempt_id)
            .values(customer_id="", reference=grant.attempt_id, coupon=None, coupon_code=None)
        )


def _accounts(connection: Connection, customer_id: str) -> list[_Account]:
    statement = (
        select(IdentityRow.platform, IdentityRow.account_id)
        .where(IdentityRow.customer_id == customer_id)
        .order_by(IdentityRow.platform, IdentityRow.account_id)
    )
    return [_Account(*row) for row in connection.execute(statement)]


def _own_ids(connection: Connection, customer_id: str, account: _Account) -> list[str]:
    """Lock all ids of the account; return those that are not linked to another customer."""
    this = account.platform, account.account_id
    known = locked(connection, [this])
    links = {
        account_id: known.links.get((account.platform, account_id))
        for account_id in known.account_of(this).ids
    }
    return [
        account_id
        for account_id, link in links.items()
        if link is None or link.customer_id == customer_id
    ]


def _erase_account(
    connection: Connection, platform: str, ids: Sequence[str], size: int, now: datetime
) -> dict[str, int]:
    """Erase some of the account's attempts without a customer, then some of its events."""
    unclaimed = (
        select(AttemptRow.__table__)
        .where(
            AttemptRow.account_id.in_(ids),
            AttemptRow.platform == platform,
            AttemptRow.customer_id.is_(None),
        )
        .order_by(AttemptRow.id)
        .limit(size)
    )
    attempts = list(connection.execute(unclaimed.with_for_update()))
    if attempts:
        return _erase_attempts(connection, attempts, now)
    acted = select(EventRow.id).where(EventRow.actor.in_(ids), EventRow.platform == platform)
    events = connection.execute(acted.limit(size)).scalars().all()
    if events:
        strip_events(connection, events)
        return {"events": len(events)}
    return {}


def _unlink(
    connection: Connection, customer_id: str, account: _Account, ids: Sequence[str]
) -> dict[str, int]:
    subjects = [_Account(account.platform, account_id).subject for account_id in ids]
    audit.forget(connection, customer_id, subjects)
    forget_ids(connection, (account.platform, account.account_id), customer_id)
    gone = delete(IdentityRow).where(
        IdentityRow.platform == account.platform,
        IdentityRow.account_id.in_(ids),
        IdentityRow.customer_id == customer_id,
    )
    return {"identities": connection.execute(gone).rowcount}


def _note(connection: Connection, row: Row[Any], done: dict[str, int]) -> bool:
    counts = {name: getattr(row, name) + number for name, number in done.items()}
    connection.execute(update(ErasureRow).where(ErasureRow.id == row.id).values(**counts))
    return True


def _complete(connection: Connection, row: Row[Any], now: datetime) -> None:
    done = {"completed_at": now, "customer_id": None}
    connection.execute(update(ErasureRow).where(ErasureRow.id == row.id).values(**done))
