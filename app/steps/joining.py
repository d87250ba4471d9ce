"""Joins two ids of one account, or replaces an id, when a platform says so."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, delete, exists, insert, or_, select, update

from app.domain.events import Event, SameAccount
from app.steps import identities
from app.steps.accounts import Account, Id, Known, locked
from app.steps.audit import Change, record
from app.steps.identities import named
from app.steps.ledger import insert_new
from app.storage.tables import (
    IDENTITIES,
    AccountKeyRow,
    AttemptRow,
    EventRow,
    IdentityRow,
)
from app.storage.vault import vault_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """A source's message about two ids. ``at`` is when it arrived."""

    source: str
    platform: str
    said: SameAccount
    at: datetime

    @property
    def ids(self) -> tuple[Id, Id]:
        return (self.platform, self.said.account_id), (self.platform, self.said.other_id)

    @property
    def caused_by(self) -> str:
        return f"source:{self.source}"


def joinings_of(event: Event) -> list[Joining]:
    """Return the joinings that an event implies by showing several ids."""
    return [
        Joining(
            source=event.source,
            platform=event.platform,
            said=SameAccount(event.ids[0], other),
            at=event.received_at,
        )
        for other in event.ids[1:]
    ]


def join(connection: Connection, joinings: Sequence[Joining], known: Known) -> bool:
    """Store the joinings and apply their effects. False: all were known.

    ``known``: what is known of these ids, read after they were locked.
    """
    new = [one for one in joinings if _is_replaced(one) or not _are_one(known, one)]
    has_changed = False
    for one in new:
        # `_join` reads again, because the one before may have changed the accounts.
        has_changed |= _join(connection, one)
    return has_changed


def _is_replaced(one: Joining) -> bool:
    return one.said.replaced and one.said.account_id != one.said.other_id


def _are_one(known: Known, one: Joining) -> bool:
    first, other = (known.account_of(each) for each in one.ids)
    return first == other


def _join(connection: Connection, one: Joining) -> bool:
    known = locked(connection, one.ids)
    if _is_replaced(one):
        return _replace(connection, one, known)
    if _are_one(known, one):
        return False
    _unite(connection, one, known)
    _release(connection, one)
    return True


def _unite(connection: Connection, one: Joining, known: Known) -> None:
    """Make two accounts one, under the key that was known first."""
    accounts = [known.account_of(each) for each in one.ids]
    kept = _known_first(connection, accounts)
    for account in accounts:
        if len(account.ids) == 1 and account.keys == account.ids:
            _add_key(connection, account.platform, account.key, kept.key, account.key, one.at)
    connection.execute(
        update(AccountKeyRow)
        .where(
            AccountKeyRow.platform == one.platform,
            AccountKeyRow.account_key.in_([account.key for account in accounts]),
        )
        .values(account_key=kept.key)
    )


def _known_first(connection: Connection, accounts: Sequence[Account]) -> Account:
    """The account that had several ids first; if neither had, the first one of the joining."""
    statement = (
        select(AccountKeyRow.account_key)
        .where(
            AccountKeyRow.platform == accounts[0].platform,
            AccountKeyRow.account_key.in_([account.key for account in accounts]),
        )
        .order_by(AccountKeyRow.known_at, AccountKeyRow.id)
        .limit(1)
    )
    key = connection.execute(statement).scalar_one_or_none()
    return next((one for one in accounts if one.key == key), accounts[0])


def _replace(connection: Connection, one: Joining, known: Known) -> bool:
    """Move the account to its new id. The old id is then free for another account."""
    platform, old, new = one.platform, one.said.account_id, one.said.other_id
    if _gave_up(connection, one, known) or not _is_anybody(connection, one):
        return False
    if not _are_one(known, one):
        _unite(connection, one, known)
    _give_up(connection, one)
    customer_id = _move_identity(connection, one)
    connection.execute(
        update(AttemptRow)
        .where(AttemptRow.platform == platform, AttemptRow.account_id == old)
        .values(account_id=new)
    )
    record(
        connection,
        Change.IDENTITY_MOVED,
        by=one.caused_by,
        now=one.at,
        subject=named(platform, new),
        customer_id=customer_id,
    )
    _release(connection, one)
    return True


def _gave_up(connection: Connection, one: Joining, known: Known) -> bool:
    """Whether the account gave up the old id before: the message is a repetition."""
    old = one.said.account_id
    if old in known.account_of(one.ids[1]).ids:
        return False
    statement = select(
        exists().where(
            AccountKeyRow.platform == one.platform,
            AccountKeyRow.account_key == known.account_of(one.ids[1]).key,
            AccountKeyRow.account_id.is_(None),
            (AccountKeyRow.key == old) | AccountKeyRow.key.startswith(_later(old), autoescape=True),
        )
    )
    return bool(connection.execute(statement).scalar_one())


def _is_anybody(connection: Connection, one: Joining) -> bool:
    """Whether any row has one of the two ids. Nothing is stored about strangers."""
    ids = [one.said.account_id, one.said.other_id]
    known = (
        exists().where(row.platform == one.platform, column.in_(ids))
        for row, column in (
            (IdentityRow, IdentityRow.account_id),
            (AccountKeyRow, AccountKeyRow.account_id),
            (AttemptRow, AttemptRow.account_id),
            (EventRow, EventRow.actor),
        )
    )
    return bool(connection.execute(select(or_(*known))).scalar_one())


def _give_up(connection: Connection, one: Joining) -> None:
    """Make the next holder of the old id another account. Its key contains the time."""
    old = one.said.account_id
    connection.execute(
        update(AccountKeyRow)
        .where(AccountKeyRow.platform == one.platform, AccountKeyRow.account_id == old)
        .values(account_id=None)
    )
    key = f"{_later(old)}{one.at.isoformat()}"
    _add_key(connection, one.platform, key, key, old, one.at)


def _later(account_id: str) -> str:
    # This character is in no id: adapters refuse unprintable ids.
    return f"{account_id}\x1f"


def _add_key(
    connection: Connection,
    platform: str,
    key: str,
    account_key: str,
    account_id: str,
    now: datetime,
) -> None:
    row = {
        "platform": platform,
        "key": key,
        "account_key": account_key,
        "account_id": account_id,
        "known_at": now,
    }
    connection.execute(insert(AccountKeyRow), row)


def _move_identity(connection: Connection, one: Joining) -> str | None:
    """Link the new id to the old id's customer unless it is linked; return the customer or None."""
    old, new = one.said.account_id, one.said.other_id
    gone = delete(IDENTITIES).where(
        and_(IDENTITIES.c.platform == one.platform, IDENTITIES.c.account_id == old)
    )
    row = connection.execute(gone.returning(IDENTITIES)).one_or_none()
    if row is None:
        return None
    vault = vault_of(connection)
    values = {**vars(vault.open_row(IDENTITIES, row)), "account_id": new}
    statement = insert_new(connection, IdentityRow, IdentityRow.account_id)
    connection.execute(statement, vault.seal_row(IDENTITIES, values))
    return str(row.customer_id)


def _release(connection: Connection, one: Joining) -> None:
    """Release what waited under one id for a customer who is linked by another id."""
    new = one.ids[1]
    known = locked(connection, [new])
    identities.release_waiting(connection, new, known, one.caused_by, one.at)
