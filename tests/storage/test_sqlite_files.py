"""Is a removed file noticed, and does a long reader leave a small log behind?"""

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from app.storage.database import Database
from app.storage.engines import sqlite_path
from app.storage.errors import StorageUnavailable
from app.storage.sqlite_files import LOG_LIMIT_BYTES
from tests.keys import KEYS

FILES = ["", "-wal", "-shm"]


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    opened = Database(sqlite_url, secret_keys=KEYS)
    yield opened
    opened.close()


@pytest.fixture
def path(sqlite_url: str) -> Path:
    return sqlite_path(sqlite_url)


def count_up(connection: Connection) -> None:
    connection.execute(text("UPDATE forwarding SET slow_count = slow_count + 1"))


def named(path: Path, ending: str) -> Path:
    return Path(f"{path}{ending}")


@pytest.mark.parametrize("ending", FILES)
@pytest.mark.parametrize("way", ["removed", "replaced"])
def test_what_is_written_into_a_file_without_its_name_is_not_acknowledged(
    database: Database, path: Path, ending: str, way: str
) -> None:
    database.write(count_up)
    file = named(path, ending)
    if way == "replaced":
        shutil.copy(file, named(path, ".new"))
        named(path, ".new").rename(file)
    else:
        file.unlink()

    with pytest.raises(StorageUnavailable, match="was removed or replaced"):
        database.write(count_up)
    assert "removed or replaced" in str(database.write_problem())


def test_a_file_that_is_put_back_is_well_again(database: Database, path: Path) -> None:
    database.write(count_up)
    path.rename(named(path, ".away"))
    with pytest.raises(StorageUnavailable):
        database.write(count_up)

    named(path, ".away").rename(path)

    database.write(count_up)


def test_no_connection_is_opened_to_another_file_of_that_name(
    database: Database, path: Path
) -> None:
    database.write(count_up)
    shutil.copy(path, named(path, ".new"))
    named(path, ".new").rename(path)

    # The first of them is open already.
    with (
        database.read(),
        pytest.raises(StorageUnavailable, match="removed or replaced"),
        database.read(),
    ):
        pass


def test_a_database_that_was_closed_meanwhile_may_be_another_file(
    database: Database, path: Path
) -> None:
    database.write(count_up)
    database.close()
    shutil.copy(path, named(path, ".new"))
    named(path, ".new").rename(path)

    database.write(count_up)


def grow(database: Database, path: Path) -> None:
    """Write until the log is large, whoever reads."""
    blob = "x" * 500_000
    while named(path, "-wal").stat().st_size < 3 * LOG_LIMIT_BYTES:
        database.write(
            lambda c: [
                c.execute(text("INSERT INTO others VALUES (:blob)"), {"blob": blob})
                for _ in range(8)
            ]
        )


def test_the_log_is_small_again_after_a_long_reader_and_no_write_waits_for_it(
    database: Database, path: Path
) -> None:
    database.write(lambda c: c.execute(text("CREATE TABLE others (blob text)")) and None)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchone()
        grow(database, path)
        database.shrink_log()
        while_read = named(path, "-wal").stat().st_size
        reader.execute("COMMIT")
    database.write(count_up)
    after_a_write = named(path, "-wal").stat().st_size

    database.shrink_log()
    database.write(count_up)

    assert while_read > LOG_LIMIT_BYTES
    # The writer left it alone: it would have had to copy all of it.
    assert after_a_write > LOG_LIMIT_BYTES
    assert named(path, "-wal").stat().st_size <= LOG_LIMIT_BYTES


def test_to_shrink_the_log_waits_for_no_reader(database: Database, path: Path) -> None:
    database.write(lambda c: c.execute(text("CREATE TABLE others (blob text)")) and None)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchone()
        grow(database, path)
        began = time.monotonic()
        database.shrink_log()
        seconds = time.monotonic() - began
        reader.execute("COMMIT")

    assert seconds < 2
