"""Is a copy of an SQLite database in use a whole one, and nobody else's to read?"""

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import insert

from app.storage.backup import CannotBackUp, back_up, made_at, note_moment
from app.storage.database import Database
from app.storage.engines import sqlite_path
from app.storage.tables import IdentityRow
from tests.clock import START
from tests.keys import KEYS
from tests.storage.filled import contents, fill


def test_the_copy_is_the_database(sqlite_url: str, tmp_path: Path) -> None:
    filled = fill(sqlite_url)
    copy = tmp_path / "copy.db"

    size = back_up(sqlite_path(sqlite_url), copy, START)

    assert contents(f"sqlite:///{copy}") == filled
    assert size > 0


def test_the_copy_carries_its_moment_until_that_is_taken_away(
    sqlite_url: str, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"

    back_up(sqlite_path(sqlite_url), copy, START)

    assert made_at(copy) == START.replace(microsecond=0)
    assert made_at(sqlite_path(sqlite_url)) is None
    note_moment(copy, None)
    assert made_at(copy) is None


def test_only_its_owner_may_read_it(sqlite_url: str, tmp_path: Path) -> None:
    before = os.umask(0)
    sqlite_path(sqlite_url).chmod(0o644)
    try:
        back_up(sqlite_path(sqlite_url), tmp_path / "copy.db", START)
    finally:
        os.umask(before)

    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600


def test_a_service_may_write_meanwhile_and_the_copy_is_of_one_moment(
    sqlite_url: str, tmp_path: Path
) -> None:
    database = Database(sqlite_url, secret_keys=KEYS)
    stopping = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        while not stopping.is_set():
            pair = [
                {
                    "platform": platform,
                    "account_id": str(written),
                    "customer_id": "ann",
                    "created_at": START,
                    "updated_at": START,
                }
                for platform in ("one", "two")
            ]
            database.write(lambda c, pair=pair: c.execute(insert(IdentityRow), pair))  # type: ignore[misc]
            written += 1

    writer = threading.Thread(target=write)
    writer.start()
    for number in range(5):
        back_up(sqlite_path(sqlite_url), tmp_path / f"copy-{number}.db", START)
    stopping.set()
    writer.join()
    database.close()

    for number in range(5):
        with closing(sqlite3.connect(tmp_path / f"copy-{number}.db")) as copy:
            counts = copy.execute("SELECT count(*) FROM identities GROUP BY platform").fetchall()
        assert len(set(counts)) <= 1
    assert written > 0


def test_a_file_that_is_there_is_never_replaced(sqlite_url: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.write_text("yesterday's")

    with pytest.raises(CannotBackUp, match="already exists"):
        back_up(sqlite_path(sqlite_url), copy, START)

    assert copy.read_text() == "yesterday's"


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(CannotBackUp, match="does not exist"):
        back_up(tmp_path / "typo.db", tmp_path / "copy.db", START)

    assert list(tmp_path.iterdir()) == []


def test_a_damaged_database_makes_no_copy(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"SQLite format 3\x00" + bytes(range(256)) * 100)

    with pytest.raises(CannotBackUp):
        back_up(damaged, tmp_path / "copy.db", START)

    assert [path.name for path in tmp_path.iterdir()] == ["damaged.db"]


def test_a_folder_that_cannot_be_written_to_is_told(sqlite_url: str, tmp_path: Path) -> None:
    with pytest.raises(CannotBackUp, match="No such file"):
        back_up(sqlite_path(sqlite_url), tmp_path / "nowhere" / "copy.db", START)
