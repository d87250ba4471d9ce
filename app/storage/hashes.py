"""Keyed hashes that recognise an event, account or customer without storing it."""

import base64
import hmac
import os
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from app.domain.texts import folded
from app.storage.dialects import insert
from app.storage.tables import HASH_KEYS, HashKeyRow
from app.storage.vault import CannotOpen, derive, vault_of

# 128 bits: a billion values have no collision by chance.
_BYTES = 16
_PLACE = "hash_keys:1:value"


class Hashes:
    """Hashes under keys of this database, so that nobody without the keys can try out names.

    The keys never change. Their root is made once, and is only sealed again when the secret keys
    are rotated.
    """

    def __init__(self, hash_key: bytes) -> None:
        # Begun once for each purpose: taking in the key takes longer than hashing a short text.
        self._begun = {
            purpose: hmac.new(derive(hash_key, f"hash {purpose}"), digestmod="sha256")
            for purpose in ("event", "handle", "award", "bar", "customer", "secret")
        }

    def event_key(self, key: str) -> str:
        """Hash an event's key, which is unique for each source."""
        return self._of("event", key)

    def excluded_event_key(self, key: str) -> str:
        """Hash the key of an event that cannot earn anything; never equal to an `event_key`."""
        return self._of("event", "excluded", key)

    def handle(self, handle: str) -> str:
        """Hash a handle regardless of a leading @, of case and of full-width letters."""
        return self._of("handle", folded(handle).removeprefix("@"))

    def handles(self, handle: str) -> tuple[str, ...]:
        """Return all hashes of a handle that may be stored; the version before did not fold it."""
        return self.handle(handle), self._of("handle", handle.removeprefix("@"))

    def award_of_customer(self, challenge_id: int, customer_id: str, occurrence: str) -> str:
        return self._of("award", "customer", str(challenge_id), customer_id, occurrence)

    def award_of_account(
        self, challenge_id: int, platform: str, account_id: str, occurrence: str
    ) -> str:
        return self._of("award", "account", str(challenge_id), platform, account_id, occurrence)

    def award_of_nobody(
        self, challenge_id: int, platform: str, account_id: str, occurrence: str
    ) -> str:
        """Hash an award that belongs to an account only, in place of a customer's award."""
        return self._of("award", "nobody", str(challenge_id), platform, account_id, occurrence)

    def bar_of_customer(self, challenge_id: int, platform: str, customer_id: str) -> str:
        return self._of("bar", "customer", str(challenge_id), platform, customer_id)

    def bar_of_account(self, challenge_id: int, platform: str, account_id: str) -> str:
        return self._of("bar", "account", str(challenge_id), platform, account_id)

    def secret(self, source: str, value: str) -> str:
        """Hash a source's secret, to store when it last verified a callback."""
        return self._of("secret", source, value)

    def customer(self, customer_id: str) -> str:
        """Hash the customer of an erasure, to prove that it was done."""
        return self._of("customer", customer_id)

    def _of(self, purpose: str, *parts: str) -> str:
        # The lengths make different lists of parts differ.
        message = "".join(f"{len(part)}:{part}" for part in parts).encode()
        begun = self._begun[purpose].copy()
        begun.update(message)
        return base64.urlsafe_b64encode(begun.digest()[:_BYTES]).rstrip(b"=").decode("ascii")


def hashes_of(connection: Connection) -> Hashes:
    """Return this database's hashes. Raises `CannotOpen` when our keys do not open its hash key."""
    found = hashes_if_any(connection)
    if found is None:
        raise CannotOpen("the database has no hash key yet")
    return found


def hashes_if_any(connection: Connection) -> Hashes | None:
    """Like `hashes_of`, but None when the database has no hash key, and so no hashes, yet."""
    vault = vault_of(connection)
    known: Hashes | None = vault.hashes
    if known is None:
        sealed = _sealed_key(connection)
        if sealed is not None:
            known = vault.hashes = Hashes(vault.open(sealed, _PLACE))
    return known


def make_hash_key(connection: Connection, now: datetime) -> None:
    """Make the database's hash key unless it has one, in a transaction of its own.

    A rollback must not remove a key that something was hashed with.
    """
    if _sealed_key(connection) is not None:
        return
    row = {"id": 1, "value": os.urandom(32), "created_at": now}
    statement = insert(connection.dialect.name, HashKeyRow).on_conflict_do_nothing()
    connection.execute(statement, vault_of(connection).seal_row(HASH_KEYS, row))


def _sealed_key(connection: Connection) -> Any:
    statement = select(HashKeyRow.value).where(HashKeyRow.id == 1)
    return connection.execute(statement).scalar_one_or_none()
