"""How is personal data kept, so that whoever reads the database does not read it?"""

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
    """A sealed value that none of our keys opens; the text tells which key is missing."""


def derive(secret: bytes, purpose: str, length: int = 32) -> bytes:
    """A key for one purpose, from which neither the secret nor another purpose's can be told.

    HKDF, RFC 5869. Claim tokens are signed under a derivation of their own.
    """
    return HKDF(SHA256(), length, None, f"vouch {purpose} 1".encode()).derive(secret)


class Vault:
    """Seals with the newest of the installation's secret keys, and opens with any of them.

    A value is bound to its place, so that nobody who can write to the database can have it opened
    as another row's. AES-256-GCM with random nonces: a key is good for four billion values.
    """

    def __init__(self, secret_keys: Sequence[str] = ()) -> None:
        # The database's `Hashes`, once they are read: they are sealed like everything else.
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
        """What every value begins with that needs no older key."""
        if not self.prefixes:
            raise CannotOpen(f"no secret key is set: {_KEYS_HINT}")
        return self.prefixes[0]

    def seal(self, value: bytes, place: str) -> Sealed:
        prefix, nonce = self.newest_prefix, os.urandom(_NONCE_LENGTH)
        cipher = self._ciphers[prefix[1:]]
        return Sealed(prefix + nonce + cipher.encrypt(nonce, value, place.encode()))

    def open(self, sealed: bytes, place: str) -> bytes:
        """Raises `CannotOpen`: without the key, or when it was altered or sealed elsewhere."""
        cipher = self._ciphers.get(sealed[1:PREFIX_LENGTH])
        if cipher is None or not sealed.startswith(_FORMAT):
            raise CannotOpen(f"the key {key_name(sealed)} is not among ours: {_KEYS_HINT}")
        nonce_end = PREFIX_LENGTH + _NONCE_LENGTH
        try:
            return cipher.decrypt(
                sealed[PREFIX_LENGTH:nonce_end], sealed[nonce_end:], place.encode()
            )
        except (InvalidTag, ValueError):
            raise CannotOpen(f"{place} was altered, or belongs elsewhere") from None

    def seal_row(self, table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
        """The same values, those of sealed columns sealed. The primary key must be among them."""
        sealed = dict(values)
        for name, is_text in sealed_columns(table):
            value = sealed.get(name)
            if value is not None:
                raw = value.encode() if is_text else value
                sealed[name] = self.seal(raw, place(table, values, name))
        return sealed

    def open_row(self, table: Table, row: Any) -> Any:
        """The same row, with its sealed columns opened; those it was not asked for stay away."""
        return SimpleNamespace(**self.open_values(table, row._mapping))

    def open_values(self, table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
        """What `seal_row` sealed. The primary key must be among the values."""
        opened = dict(values)
        for name, is_text in sealed_columns(table):
            value = opened.get(name)
            if value is not None:
                raw = self.open(value, place(table, values, name))
                opened[name] = raw.decode() if is_text else raw
        return opened


def key_name(sealed: bytes) -> str:
    """How messages name the key of a value: it tells nothing of the key."""
    return sealed[1:PREFIX_LENGTH].hex()


def place(table: Table, values: Mapping[str, Any], column: str) -> str:
    """Where a value belongs: ``table:row:column``."""
    row = "/".join(str(values[name]) for name in _primary_key(table))
    return f"{table.name}:{row}:{column}"


@cache
def sealed_columns(table: Table) -> tuple[tuple[str, bool], ...]:
    """The columns of a table that hold sealed values, and whether it is a text."""
    return tuple(
        (column.name, isinstance(column.type, SealedText))
        for column in table.columns
        if isinstance(column.type, SealedText | SealedBytes)
    )


def with_vault(vault: Vault) -> dict[str, Vault]:
    """What an engine must be made with, so that steps on its connections can seal and open."""
    return {_OPTION: vault}


def vault_of(connection: Connection) -> Vault:
    """The keys that this connection's database is read with."""
    return cast(Vault, connection.get_execution_options()[_OPTION])


@cache
def _primary_key(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.primary_key)
