"""Does what we acknowledged survive, and do readers never wait?"""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text, update
from sqlalchemy.exc import DBAPIError, OperationalError

from app.storage.engines import is_sqlite, read_engine, sqlite_path, write_engine
from app.storage.migrate import upgrade
from app.storage.tables import ForwardingRow

FULL = 2


@pytest.mark.parametrize("make", [write_engine, read_engine])
def test_sqlite_keeps_a_log_and_syncs_every_commit(
    sqlite_url: str, make: Callable[[str], Engine]
) -> None:
    engine = make(sqlite_url)
    try:
        with engine.begin() as connection:
            found = {
                name: connection.execute(text(f"PRAGMA {name}")).scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            }
    finally:
        engine.dispose()

    assert found == {"journal_mode": "wal", "synchronous": FULL, "foreign_keys": 1}


def test_a_reader_neither_waits_for_a_writer_nor_sees_what_is_not_committed(
    sqlite_url: str,
) -> None:
    writes, reads = write_engine(sqlite_url), read_engine(sqlite_url)
    seen = text("SELECT slow_count FROM forwarding")
    try:
        with writes.begin() as writer:
            writer.execute(update(ForwardingRow).values(slow_count=7))
            with reads.begin() as reader:
                before = reader.execute(seen).scalar_one()
        with reads.begin() as reader:
            after = reader.execute(seen).scalar_one()
    finally:
        writes.dispose()
        reads.dispose()

    assert (before, after) == (0, 7)


def test_a_write_transaction_takes_the_lock_at_its_begin(sqlite_url: str) -> None:
    # Otherwise two that both read first could not both go on to write.
    first, second = write_engine(sqlite_url), write_engine(sqlite_url)
    try:
        with first.begin():
            raw = second.raw_connection()
            raw.execute("PRAGMA busy_timeout=0")
            raw.close()
            with pytest.raises(OperationalError, match="locked"), second.begin():
                pass
    finally:
        first.dispose()
        second.dispose()


def test_postgres_counts_in_utc_and_gives_up_on_a_lock(postgres_url: str) -> None:
    engine = write_engine(postgres_url)
    try:
        with engine.begin() as connection:
            shown = [
                connection.execute(text(f"SHOW {name}")).scalar_one()
                for name in ("timezone", "statement_timeout", "lock_timeout")
            ]
    finally:
        engine.dispose()

    assert shown == ["UTC", "7s", "5s"]


def test_the_folder_of_an_embedded_database_is_made(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "vouch.db"
    engine = write_engine(f"sqlite:///{path}")
    try:
        with engine.begin():
            pass
    finally:
        engine.dispose()

    assert path.is_file()


@pytest.fixture
def _anything_goes() -> Iterator[None]:
    """The most careless umask there is."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """What is in a folder, and who may do what with it."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def write_to(path: Path) -> dict[str, int]:
    """Write to a database; what is there while it is open."""
    engine = write_engine(f"sqlite:///{path}")
    try:
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE one (id INTEGER)"))
        return modes(path.parent.resolve())
    finally:
        engine.dispose()


@pytest.mark.usefixtures("_anything_goes")
def test_a_new_database_is_its_owners_alone_with_all_that_sqlite_makes_beside_it(
    tmp_path: Path,
) -> None:
    found = write_to(tmp_path / "vouch.db")

    assert found == dict.fromkeys(("vouch.db", "vouch.db-wal", "vouch.db-shm"), 0o600)


@pytest.mark.usefixtures("_anything_goes")
def test_a_new_database_behind_a_link_is_its_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "vouch.db").symlink_to(folder / "real.db")

    write_to(tmp_path / "vouch.db")

    assert modes(folder)["real.db"] == 0o600


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o644])
def test_a_database_that_is_there_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "vouch.db"
    path.touch()
    path.chmod(mode)

    write_engine(f"sqlite:///{path}").dispose()

    assert modes(tmp_path) == {"vouch.db": mode}


@pytest.mark.usefixtures("_anything_goes")
def test_a_migrated_database_is_its_owners_alone(tmp_path: Path) -> None:
    upgrade(f"sqlite:///{tmp_path / 'vouch.db'}")

    assert set(modes(tmp_path).values()) == {0o600}


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true", "sqlite:broken"],
)
def test_a_database_that_keeps_nothing_on_disk_is_refused(url: str) -> None:
    assert is_sqlite(url)
    with pytest.raises(ValueError, match="must name an SQLite file"):
        sqlite_path(url)


def test_an_error_quotes_no_value_of_its_statement(database_url: str) -> None:
    engine = write_engine(database_url)

    with pytest.raises(DBAPIError) as caught, engine.begin() as connection:
        connection.execute(text("SELECT :personal FROM nowhere"), {"personal": "ann@b.test"})
    engine.dispose()

    assert "ann@b.test" not in str(caught.value)
