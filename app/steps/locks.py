"""Advisory locks of PostgreSQL for transactions that must not overlap."""

import hashlib
from collections.abc import Iterable

from sqlalchemy import Connection, text

# Not a valid name of a platform.
_CUSTOMER = "customer*"
LOCK_KEYS = "SELECT pg_advisory_xact_lock(k) FROM unnest(CAST($1 AS bigint[])) AS k"


def lock_accounts(connection: Connection, accounts: Iterable[tuple[str, str]]) -> None:
    """Serialise events of an account and the linking of it, until the transaction ends.

    Otherwise both could miss the other's uncommitted row: the event the link, and the link the
    waiting attempt. SQLite has one writer, so nothing is locked there.
    """
    if connection.dialect.name != "postgresql":
        return
    keys = account_keys(accounts)
    if keys:
        connection.execute(text(LOCK_KEYS.replace("$1", ":keys")), {"keys": keys})


def lock_customer(connection: Connection, customer_id: str) -> None:
    """Serialise a customer's claims and the linking of the customer's accounts.

    Otherwise a claim could miss an account that is linked meanwhile, and nothing would order the
    claim and the account's events. Take this lock before any lock of an account.
    """
    if connection.dialect.name == "postgresql":
        keys = [_key(_CUSTOMER, customer_id)]
        connection.execute(text(LOCK_KEYS.replace("$1", ":keys")), {"keys": keys})


def account_keys(accounts: Iterable[tuple[str, str]]) -> list[int]:
    """Return the keys for `LOCK_KEYS`, sorted: with one order, transactions cannot deadlock."""
    return sorted({_key(platform, account) for platform, account in accounts})


def _key(platform: str, account: str) -> int:
    digest = hashlib.blake2b(f"{platform}\x1f{account}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
