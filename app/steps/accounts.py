"""Finds the ids and keys of each platform account."""
# Some platforms show the same person by different ids. `app.steps.joining` stores which ids belong
# together. docs/decisions/0021 explains why an account has keys besides its ids.

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, exists, null, or_, select, union_all

from app.steps.locks import lock_accounts
from app.storage.tables import AccountKeyRow, AttemptRow, EventRow, IdentityRow, aliased

Id = tuple[str, str]
"""A platform, and an id of one of its accounts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One platform account. ``key`` is its name in the ledger for all of its ``ids``.

    ``other_keys``: the ledger may have awards under these, from before the ids were known to
    belong to one account.
    """

    platform: str
    key: str
    ids: tuple[str, ...]
    other_keys: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """All of its keys. The key for new awards is first."""
        return (self.key, *self.other_keys)

    @classmethod
    def of(cls, one: Id) -> "Account":
        """Return an account that has only this id."""
        platform, account_id = one
        return cls(platform=platform, key=account_id, ids=(account_id,))


@dataclass(frozen=True, slots=True)
class Known:
    """The known links of some ids, and their accounts."""

    links: Mapping[Id, Any] = field(default_factory=dict)
    accounts: Mapping[Id, Account] = field(default_factory=dict)

    def account_of(self, one: Id) -> Account:
        """Return the account of this id, which may have no other id."""
        return self.accounts.get(one) or Account.of(one)

    def link_of(self, one: Id) -> Any:
        """Return the link of this id, else the oldest link of the account's other ids, or None."""
        if one in self.links:
            return self.links[one]
        ids = self.accounts[one].ids if one in self.accounts else ()
        links = [self.links[one[0], other] for other in ids if (one[0], other) in self.links]
        return min(links, key=lambda row: (row.created_at, row.account_id), default=None)

    def ids_of(self, some: Iterable[Id]) -> set[Id]:
        """Return these ids and all other ids of the same accounts."""
        found = set(some)
        return found | {(one[0], other) for one in found for other in self.account_of(one).ids}


_IDENTITY = IdentityRow.__table__
# The label of each member column in the result, and the column.
MEMBER = (
    ("member_platform", "platform"),
    ("member_key", "key"),
    ("member_account_key", "account_key"),
    ("member_account_id", "account_id"),
)
_asked, _member = aliased(AccountKeyRow), aliased(AccountKeyRow)
_of_member = [getattr(_member, column).label(name) for name, column in MEMBER]
_together = and_(_member.platform == _asked.platform, _member.account_key == _asked.account_key)


def _among(row: Any) -> tuple[Any, Any]:
    """Match ids and platforms apart: pairs are slow to prepare, and ids are nearly unique."""
    return (
        row.account_id.in_(bindparam("accounts", expanding=True)),
        row.platform.in_(bindparam("platforms", expanding=True)),
    )


# Built once: SQLAlchemy takes as long to prepare a statement as SQLite to run it. Links and
# accounts are one statement because every intake runs it.
_KNOWN = union_all(
    select(_IDENTITY, *(null().label(name) for name, _ in MEMBER)).where(*_among(_IDENTITY.c)),
    select(_IDENTITY, *_of_member)
    .select_from(_asked)
    .join(_member, _together)
    .outerjoin(
        _IDENTITY,
        and_(
            _IDENTITY.c.platform == _member.platform,
            _IDENTITY.c.account_id == _member.account_id,
        ),
    )
    .where(*_among(_asked)),
)
_ACCOUNTS = select(*_of_member).select_from(_asked).join(_member, _together).where(*_among(_asked))


def look(connection: Connection, some: Iterable[Id]) -> Known:
    """Return the links and accounts of these ids. One statement."""
    wanted = set(some)
    if not wanted:
        return Known()
    return known_from(connection.execute(_KNOWN, _parameters(wanted)))


def known_from(rows: Iterable[Any]) -> Known:
    """Build from rows that hold an identity, a member of an account, or both."""
    links: dict[Id, Any] = {}
    members = []
    for row in rows:
        if row.account_id is not None:
            links[row.platform, row.account_id] = row
        if row.member_key is not None:
            members.append(row)
    return Known(links, _accounts_from(members))


def accounts_of(connection: Connection, some: Iterable[Id]) -> Mapping[Id, Account]:
    """Return the account of each of these ids. One statement."""
    wanted = set(some)
    if not wanted:
        return {}
    known = Known({}, _accounts_from(connection.execute(_ACCOUNTS, _parameters(wanted))))
    return {one: known.account_of(one) for one in wanted}


def locked(connection: Connection, some: Iterable[Id]) -> Known:
    """Lock all ids of these accounts until the transaction ends, then `look`.

    SQLite has one writer, so nothing is locked there.
    """
    known = look(connection, some)
    ids = known.ids_of(some)
    while True:
        lock_accounts(connection, ids)
        # Another transaction may have joined ids before the lock.
        known = look(connection, some)
        if known.ids_of(some) <= ids:
            return known
        ids |= known.ids_of(some)


def one_id_each(accounts: Mapping[Id, Account], some: Sequence[Id]) -> list[Id]:
    """Return the first of these ids for each account."""
    first: dict[str, Id] = {}
    for one in some:
        account = accounts.get(one) or Account.of(one)
        first.setdefault(f"{account.platform}\x1f{account.key}", one)
    return list(first.values())


def forget_ids(connection: Connection, one: Id, customer_id: str | None = None) -> None:
    """Delete the ids of an account, unless another customer is linked to the account."""
    platform, _ = one
    account = accounts_of(connection, [one])[one]
    others = exists().where(
        IdentityRow.platform == platform,
        IdentityRow.account_id.in_(account.ids),
        IdentityRow.customer_id != (customer_id or ""),
    )
    connection.execute(
        delete(AccountKeyRow).where(
            AccountKeyRow.platform == platform, AccountKeyRow.account_key == account.key, ~others
        )
    )


def forget_unused(connection: Connection, some: Iterable[Id]) -> None:
    """Delete the ids of these accounts that no link, attempt or event uses."""
    accounts = accounts_of(connection, some)
    for one in one_id_each(accounts, list(accounts)):
        account = accounts[one]
        if len(account.keys) > 1 and not _is_named(connection, account):
            forget_ids(connection, one)


def _is_named(connection: Connection, account: Account) -> bool:
    """Whether a link, an attempt or an event has an id of the account."""
    named = (
        exists().where(table.platform == account.platform, column.in_(account.ids))
        for table, column in (
            (IdentityRow, IdentityRow.account_id),
            (AttemptRow, AttemptRow.account_id),
            (EventRow, EventRow.actor),
        )
    )
    return bool(connection.execute(select(or_(*named))).scalar_one())


def _parameters(wanted: Iterable[Id]) -> dict[str, list[str]]:
    return {
        "accounts": list({account for _, account in wanted}),
        "platforms": list({platform for platform, _ in wanted}),
    }


def _accounts_from(members: Iterable[Any]) -> dict[Id, Account]:
    ids: dict[Id, dict[str, None]] = {}
    keys: dict[Id, dict[str, None]] = {}
    for row in members:
        which = row.member_platform, row.member_account_key
        keys.setdefault(which, {})[row.member_key] = None
        if row.member_account_id is not None:
            ids.setdefault(which, {})[row.member_account_id] = None
    found: dict[Id, Account] = {}
    for (platform, key), own in ids.items():
        others = tuple(sorted(keys[platform, key].keys() - {key}))
        account = Account(platform=platform, key=key, ids=tuple(sorted(own)), other_keys=others)
        found.update({(platform, account_id): account for account_id in own})
    return found
