"""Which transactions must not overlap?"""

import hashlib
from collections.abc import Iterable

from sqlalchemy import Connection, text

# No platform can be named so.
_CUSTOMER = "customer*"
LOCK_KEYS = "SELECT pg_advisory_xact_lock(k) FROM unnest(CAST($1 AS bigint[])) AS k"


def lock_accounts(connection: Connection, accounts: Iterable[tuple[str, str]]) -> None:
    """Order an event of an account and the linking of that account, until the transaction ends.

    Otherwise the event might see no link and the link no waiting attempt, each looking while the
    other is uncommitted. SQLite has one writer, so there they never overlap.
    """
    if connection.dialect.name != "postgresql":
        return
    keys = account_keys(accounts)
    if keys:
        connection.execute(text(LOCK_KEYS.replace("$1", ":keys")), {"keys": keys})


def lock_customer(connection: Connection, customer_id: str) -> None:
    """Order a customer's claims and the linking of the customer's accounts.

    Otherwise a claim might see no account, so that nothing orders it and an event of the account
    that is linked meanwhile. To be taken before any account's lock.
    """
    if connection.dialect.name == "postgresql":
        keys = [_key(_CUSTOMER, customer_id)]
        connection.execute(text(LOCK_KEYS.replace("$1", ":keys")), {"keys": keys})


def account_keys(accounts: Iterable[tuple[str, str]]) -> list[int]:
    """What `LOCK_KEYS` takes: in one order everywhere, so that two cannot wait for each other."""
    return sorted({_key(platform, account) for platform, account in accounts})


def _key(platform: str, account: str) -> int:
    digest = hashlib.blake2b(f"{platform}\x1f{account}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
