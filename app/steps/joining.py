"""What follows when a platform says that two ids are of one account, or that one was replaced?"""

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
    """What a source says of two ids, and when we heard it."""

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
    """What an event says by showing several ids."""
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
    """Remember what was said, and let it have its effects; False: it was all known.

    ``known``: of these ids, once they were locked.
    """
    new = [one for one in joinings if _is_replaced(one) or not _are_one(known, one)]
    has_changed = False
    for one in new:
        # It looks again: the one before may have changed what was known.
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
    """Let two accounts be one from now on, under the key that was known first."""
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
    """By when it was known to have several ids; of two that had one, the first that was shown."""
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
    """Let the account go on under its new id, and leave the old one to whoever gets it next."""
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
    """Whether the account with the new id has given the old one up already: it is told again."""
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
    """Whether we know anything of this account. Of strangers nothing is remembered."""
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
    """Let whoever has the old id next be another account: its key says since when."""
    old = one.said.account_id
    connection.execute(
        update(AccountKeyRow)
        .where(AccountKeyRow.platform == one.platform, AccountKeyRow.account_id == old)
        .values(account_id=None)
    )
    key = f"{_later(old)}{one.at.isoformat()}"
    _add_key(connection, one.platform, key, key, old, one.at)


def _later(account_id: str) -> str:
    # No id has this character: adapters refuse what is not printable.
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
    """Link the new id to the customer of the old one, unless somebody has it; the customer."""
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
    """Pay what waited under one id for a customer who is linked by another."""
    new = one.ids[1]
    known = locked(connection, [new])
    identities.release_waiting(connection, new, known, one.caused_by, one.at)
