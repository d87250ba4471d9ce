"""Does a sealed value tell nothing, and open only where it belongs, with a key that is known?"""

from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, select

from app.storage.database import Database
from app.storage.errors import StatementFailed
from app.storage.hashes import hashes_of
from app.storage.migrate import upgrade
from app.storage.tables import IDENTITIES, HashKeyRow, IdentityRow
from app.storage.types import Sealed
from app.storage.vault import CannotOpen, Vault, derive, place
from tests.clock import START

NEW, OLD = "the-newest-key-of-all", "the-key-of-last-year"
PLACE = "attempts:1:email"
ROW = {
    "platform": "twitch",
    "account_id": "99",
    "customer_id": "ann",
    "handle": None,
    "email": "ann@example.com",
    "mobile": "+49 30 1",
    "created_at": START,
    "updated_at": START,
}


@dataclass
class Read:
    """A row as SQLAlchemy hands it out."""

    _mapping: dict[str, Any]


@given(st.binary(max_size=200))
def test_what_is_sealed_opens_as_it_was(value: bytes) -> None:
    assert Vault([NEW]).open(Vault([NEW]).seal(value, PLACE), PLACE) == value


def test_a_sealed_value_does_not_hold_what_it_says() -> None:
    vault = Vault([NEW])

    first, second = vault.seal(b"ann@example.com", PLACE), vault.seal(b"ann@example.com", PLACE)

    assert first.count(b"ann") == 0
    assert first != second


def test_the_newest_key_seals_and_older_ones_open() -> None:
    old = Vault([OLD]).seal(b"x", PLACE)
    rotated = Vault([NEW, OLD])

    assert rotated.open(old, PLACE) == b"x"
    assert rotated.seal(b"x", PLACE).startswith(Vault([NEW]).newest_prefix)


def test_a_key_that_is_gone_is_named_and_the_value_is_not() -> None:
    old = Vault([OLD]).seal(b"ann@example.com", PLACE)

    with pytest.raises(CannotOpen, match=f"{old[1:5].hex()} is not configured: VOUCH_SECRET_KEYS"):
        Vault([NEW]).open(old, PLACE)


def test_without_any_key_nothing_is_sealed() -> None:
    with pytest.raises(CannotOpen, match="no secret key is set"):
        Vault().seal(b"x", PLACE)


@pytest.mark.parametrize("elsewhere", ["attempts:2:email", "attempts:1:mobile", "events:1:email"])
def test_a_value_opens_only_where_it_belongs(elsewhere: str) -> None:
    sealed = Vault([NEW]).seal(b"x", PLACE)

    with pytest.raises(CannotOpen, match="altered or moved"):
        Vault([NEW]).open(sealed, elsewhere)


@given(st.data())
def test_junk_and_altered_values_do_not_open(data: st.DataObject) -> None:
    sealed = Vault([NEW]).seal(b"ann@example.com", PLACE)
    position = data.draw(st.integers(0, len(sealed) - 1))
    flipped = sealed[position] ^ data.draw(st.integers(1, 255))
    altered = sealed[:position] + bytes([flipped]) + sealed[position + 1 :]
    junk = data.draw(st.sampled_from([altered, sealed[:position], data.draw(st.binary())]))

    with pytest.raises(CannotOpen):
        Vault([NEW]).open(junk, PLACE)


def test_sealing_signing_and_hashing_never_share_a_key() -> None:
    """itsdangerous derives the key of claim tokens: tests/web/api/test_claim_tokens.py."""
    keys = {derive(NEW.encode(), purpose) for purpose in ("sealing", "key id", "hash award")}

    assert len(keys | {NEW.encode()}) == 4


def test_the_cipher_is_aes_256_gcm_bound_to_the_place() -> None:
    sealed = Vault([NEW]).seal(b"ann@example.com", PLACE)

    cipher = AESGCM(derive(NEW.encode(), "sealing", 32))
    assert cipher.decrypt(sealed[5:17], sealed[17:], PLACE.encode()) == b"ann@example.com"


def test_a_whole_row_is_sealed_and_opened() -> None:
    vault = Vault([NEW])

    sealed = vault.seal_row(IDENTITIES, ROW)

    assert sealed["customer_id"] == "ann"
    assert sealed["handle"] is None
    assert sealed["email"].count(b"ann@example.com") == 0
    assert vars(vault.open_row(IDENTITIES, Read(sealed))) == ROW


def test_a_row_is_bound_by_all_of_its_key() -> None:
    assert place(IDENTITIES, ROW, "email") == "identities:twitch/99:email"


def test_a_value_that_somebody_forgot_to_seal_is_refused(database: Database) -> None:
    def forget(connection: Connection) -> None:
        connection.execute(insert(IdentityRow).values(ROW))

    with pytest.raises(StatementFailed, match="about to be stored unsealed"):
        database.write(forget)


def test_both_databases_hand_back_what_was_sealed(database: Database) -> None:
    sealed = database.vault.seal_row(IDENTITIES, ROW)
    database.write(lambda c: c.execute(insert(IdentityRow).values(sealed)).rowcount)

    with database.read() as connection:
        row = connection.execute(select(IDENTITIES)).one()

    assert isinstance(row.email, Sealed)
    assert vars(database.vault.open_row(IDENTITIES, row)) == ROW


def test_a_database_keeps_one_hash_key_whoever_comes_first(database_url: str) -> None:
    first, second = (Database(database_url, secret_keys=[NEW]) for _ in range(2))
    hashes = [one.write(lambda c: hashes_of(c).customer("ann")) for one in (first, second, first)]
    with first.read() as connection:
        kept = connection.execute(select(HashKeyRow.id)).scalars().all()
    first.close()
    second.close()

    assert len(set(hashes)) == 1
    assert kept == [1]


def test_a_hash_key_that_no_key_opens_stops_every_write(database_url: str) -> None:
    before, after = (
        Database(database_url, secret_keys=[OLD]),
        Database(database_url, secret_keys=[NEW]),
    )
    before.write(lambda c: None)

    with pytest.raises(CannotOpen, match="is not configured"):
        after.write(lambda c: None)
    before.close()
    after.close()


def test_another_databases_hashes_are_others(tmp_path: Any, sqlite_url: str) -> None:
    other = f"sqlite:///{tmp_path / 'other.db'}"
    upgrade(other)
    found = set()
    for url in (sqlite_url, other):
        database = Database(url, secret_keys=[NEW])
        found.add(database.write(lambda c: hashes_of(c).customer("ann")))
        database.close()

    assert len(found) == 2
