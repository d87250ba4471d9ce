"""Is it known whether the database takes writes, quickly, truly, and at little cost?"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from sqlalchemy import make_url, text

from app.storage import writability
from app.storage.database import Database
from app.storage.engines import is_sqlite, sqlite_path
from app.storage.errors import StorageUnavailable
from app.storage.writability import NoTurn, Writability
from tests.keys import KEYS
from tests.storage.test_timeouts import administer


class Written:
    """Tiny writes that are counted, and fail or wait when the test says so."""

    def __init__(self) -> None:
        self.count = 0
        self.error: Exception | None = None
        self.go = threading.Event()
        self.go.set()

    def __call__(self) -> None:
        self.count += 1
        self.go.wait(10)
        if self.error is not None:
            raise self.error


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writability, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(writability, "BAD_SECONDS", 0.05)


def test_while_all_is_well_one_tiny_write_answers_many_questions() -> None:
    written = Written()
    known = Writability(written)

    assert [known.problem() for _ in range(50)] == [None] * 50
    assert written.count == 1


@pytest.mark.usefixtures("quick")
def test_a_real_write_that_fails_is_a_reason_to_look_again() -> None:
    written = Written()
    known = Writability(written)
    known.problem()
    written.error = StorageUnavailable("disk full")

    known.failed()
    time.sleep(0.1)

    assert known.problem() == "disk full"
    assert known.problem() == "disk full"
    assert written.count == 2


@pytest.mark.usefixtures("quick")
def test_it_is_well_again_as_soon_as_a_tiny_write_succeeds() -> None:
    written = Written()
    written.error = StorageUnavailable("disk full")
    known = Writability(written)
    assert known.problem() == "disk full"

    written.error = None
    time.sleep(0.1)

    assert known.problem() is None


@pytest.mark.usefixtures("quick")
def test_who_asks_does_not_wait_for_a_write_that_hangs_and_no_second_one_begins() -> None:
    written = Written()
    written.go.clear()
    known = Writability(written)
    began = time.monotonic()

    found = [known.problem() for _ in range(3)]

    assert found == ["a test write takes too long"] * 3
    assert time.monotonic() - began < 2
    assert written.count == 1
    written.go.set()
    known.rest()
    assert known.problem() is None


@pytest.mark.usefixtures("quick")
def test_a_database_that_is_busy_with_our_own_writes_takes_writes() -> None:
    written = Written()
    written.error = NoTurn("database is locked")
    written.go.clear()
    known = Writability(written)

    alone = known.problem()
    known.succeeded()
    busy = known.problem()
    written.go.set()
    known.rest()

    assert alone is not None
    assert busy is None
    assert known.problem() is None


@contextmanager
def refusing(url: str) -> Iterator[None]:
    """Another process holds the database locked, or its server takes no writes."""
    if is_sqlite(url):
        with closing(sqlite3.connect(sqlite_path(url), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
        return
    name = make_url(url).database
    administer(url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    yield
    administer(url, f"ALTER DATABASE {name} SET default_transaction_read_only = off")


def test_a_database_that_refuses_writes_is_known_and_so_is_that_it_takes_them_again(
    database_url: str,
) -> None:
    with refusing(database_url):
        database = Database(database_url, secret_keys=KEYS)
        began = time.monotonic()
        problem = database.write_problem()
        seconds = time.monotonic() - began
        with database.read() as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1
    time.sleep(2.1)
    again = database.write_problem()
    database.close()

    assert problem is not None
    assert seconds < 2
    assert again is None


def test_a_table_that_somebody_keeps_locked_takes_no_writes(postgres_url: str) -> None:
    import psycopg

    plain = postgres_url.replace("postgresql+psycopg://", "postgresql://")
    database = Database(postgres_url, secret_keys=KEYS)
    with psycopg.connect(plain) as other:
        other.execute("LOCK TABLE events IN SHARE MODE")
        problem = database.write_problem()
    database.close()

    assert problem is not None
    assert "lock timeout" in problem


def test_a_migration_that_holds_the_version_is_no_reason_to_call_it_unwritable(
    postgres_url: str,
) -> None:
    import psycopg

    plain = postgres_url.replace("postgresql+psycopg://", "postgresql://")
    database = Database(postgres_url, secret_keys=KEYS)
    with psycopg.connect(plain) as other:
        other.execute("UPDATE vouch_version SET version_num = '9999'")
        problem = database.write_problem()
    database.close()

    assert problem is None
