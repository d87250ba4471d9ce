"""Encrypt personal data, so that the database alone does not reveal it."""

import os
from collections.abc import Mapping, Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Connection, Table

from app.storage.types import Sealed, SealedBytes, SealedText

# Format, the key's id, a nonce; then the ciphertext with its tag.
_FORMAT = b"\x01"
_KEY_ID_LENGTH, _NONCE_LENGTH = 4, 12
PREFIX_LENGTH = len(_FORMAT) + _KEY_ID_LENGTH
_OPTION = "vouch_vault"
_KEYS_HINT = "VOUCH_SECRET_KEYS must hold every key that anything is still sealed with"


class CannotOpen(Exception):  # noqa: N818 -- reads as the claim it makes
    """None of our keys opens a sealed value; the text names the missing key."""


def derive(secret: bytes, purpose: str, length: int = 32) -> bytes:
    """Derive a key for one purpose, which reveals neither the secret nor other derived keys.

    HKDF, RFC 5869. Claim tokens are signed with a derived key of their own.
    """
    return HKDF(SHA256(), length, None, f"vouch {purpose} 1".encode()).derive(secret)


class Vault:
    """Seals with the newest of the installation's secret keys, and opens with any of them.

    A value is bound to its place: it cannot be copied into another row and opened there.
    AES-256-GCM with random nonces: a key is good for four billion values.
    """

    def __init__(self, secret_keys: Sequence[str] = ()) -> None:
        # The database's `Hashes`, once read: their key is sealed like everything else.
        self.hashes: Any = None
        self._ciphers: dict[bytes, AESGCM] = {}
        for secret in secret_keys:
            key_id = derive(secret.encode(), "key id", _KEY_ID_LENGTH)
            self._ciphers.setdefault(key_id, AESGCM(derive(secret.encode(), "sealing")))
        self.prefixes = tuple(_FORMAT + key_id for key_id in self._ciphers)

    @property
    def has_keys(self) -> bool:
        return bool(self.prefixes)

    @property
    def newest_prefix(self) -> bytes:
        """Return the prefix of every value that is sealed with the newest key."""
        if not self.prefixes:
            raise CannotOpen(f"no secret key is set: {_KEYS_HINT}")
        return self.prefixes[0]

    def seal(self, value: bytes, place: str) -> Sealed:
        prefix, nonce = self.newest_prefix, os.urandom(_NONCE_LENGTH)
        cipher = self._ciphers[prefix[1:]]
        return Sealed(prefix + nonce + cipher.encrypt(nonce, value, place.encode()))

    def open(self, sealed: bytes, place: str) -> bytes:
        """Open a value. Raises `CannotOpen` without its key, or when it was altered or moved."""
        cipher = self._ciphers.get(sealed[1:PREFIX_LENGTH])
        if cipher is None or not sealed.startswith(_FORMAT):
            raise CannotOpen(f"the key {key_name(sealed)} is not configured: {_KEYS_HINT}")
        nonce_end = PREFIX_LENGTH + _NONCE_LENGTH
        try:
            return cipher.decrypt(
                sealed[PREFIX_LENGTH:nonce_end], sealed[nonce_end:], place.encode()
            )
        except (InvalidTag, ValueError):
            raise CannotOpen(f"{place} was altered or moved") from None

    def seal_row(self, table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
        """Seal the values of sealed columns. The values must include the primary key."""
        sealed = dict(values)
        for name, is_text in sealed_columns(table):
            value = sealed.get(name)
            if value is not None:
                raw = value.encode() if is_text else value
                sealed[name] = self.seal(raw, place(table, values, name))
        return sealed

    def open_row(self, table: Table, row: Any) -> Any:
        """Return the row with its sealed columns opened; columns that were not read stay absent."""
        return SimpleNamespace(**self.open_values(table, row._mapping))

    def open_values(self, table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
        """Open what `seal_row` sealed. The values must include the primary key."""
        opened = dict(values)
        for name, is_text in sealed_columns(table):
            value = opened.get(name)
            if value is not None:
                raw = self.open(value, place(table, values, name))
                opened[name] = raw.decode() if is_text else raw
        return opened


def key_name(sealed: bytes) -> str:
    """Return the name of a value's key for messages, which reveals nothing about the key."""
    return sealed[1:PREFIX_LENGTH].hex()


def place(table: Table, values: Mapping[str, Any], column: str) -> str:
    """Return the place of a value: ``table:row:column``."""
    row = "/".join(str(values[name]) for name in _primary_key(table))
    return f"{table.name}:{row}:{column}"


@cache
def sealed_columns(table: Table) -> tuple[tuple[str, bool], ...]:
    """Return the sealed columns of a table, and whether each holds text."""
    return tuple(
        (column.name, isinstance(column.type, SealedText))
        for column in table.columns
        if isinstance(column.type, SealedText | SealedBytes)
    )


def with_vault(vault: Vault) -> dict[str, Vault]:
    """Return the engine options that let steps seal and open."""
    return {_OPTION: vault}


def vault_of(connection: Connection) -> Vault:
    """Return the vault of this connection's engine."""
    return cast(Vault, connection.get_execution_options()[_OPTION])


@cache
def _primary_key(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.primary_key)
