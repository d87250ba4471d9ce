"""Is a PostgreSQL server that went away, or went silent, noticed in time?"""

import os
import time
from collections.abc import Iterator
from signal import SIGCONT, SIGSTOP

import psycopg
import pytest
from sqlalchemy import text

from app.storage.database import Database
from app.storage.errors import StorageUnavailable

PATIENCE = 0.5


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    opened = Database(postgres_url, patience_seconds=PATIENCE)
    yield opened
    opened.close()


def backend(database: Database) -> int:
    pid: int = database.write(lambda c: c.execute(text("SELECT pg_backend_pid()")).scalar_one())
    return pid


def end_session(url: str, pid: int) -> None:
    plain = url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain, autocommit=True) as session:
        session.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


@pytest.fixture
def frozen(database: Database) -> Iterator[int]:
    """The server's process behind the only pooled connection, which does not run."""
    pid = backend(database)
    try:
        os.kill(pid, SIGSTOP)
    except PermissionError:
        pytest.skip("the server's processes are another user's")
    yield pid
    os.kill(pid, SIGCONT)


def test_a_connection_that_the_server_closed_meanwhile_costs_no_error(
    database: Database, postgres_url: str
) -> None:
    first = backend(database)
    end_session(postgres_url, first)

    second = backend(database)

    assert second != first


def test_a_transaction_takes_no_round_trip_to_find_out_that_its_connection_is_there(
    database: Database, postgres_url: str
) -> None:
    pid = backend(database)

    plain = postgres_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain, autocommit=True) as session:
        statement = "SELECT query FROM pg_stat_activity WHERE pid = %s"
        database.write(lambda c: c.execute(text("SELECT 17")) and None)
        last = session.execute(statement, [pid]).fetchone()

    assert last == ("COMMIT",)


def test_nobody_waits_longer_than_his_patience_for_a_frozen_server(
    database: Database, frozen: int
) -> None:
    began = time.monotonic()

    with pytest.raises(StorageUnavailable, match="does not answer"):
        backend(database)

    assert PATIENCE <= time.monotonic() - began < PATIENCE + 2


def test_who_comes_just_after_one_that_waited_in_vain_does_not_wait(
    database: Database, frozen: int
) -> None:
    with pytest.raises(StorageUnavailable):
        backend(database)
    began = time.monotonic()

    with pytest.raises(StorageUnavailable, match="a moment ago"):
        backend(database)
    with pytest.raises(StorageUnavailable, match="a moment ago"), database.read():
        pass
    seconds = time.monotonic() - began
    time.sleep(1.1)

    assert seconds < 0.3
    assert backend(database) != frozen


def test_a_slow_statement_is_no_silence(database: Database) -> None:
    with pytest.raises(StorageUnavailable, match="statement timeout"):
        database.write(
            lambda c: [
                c.execute(text("SET LOCAL statement_timeout = 100")),
                c.execute(text("SELECT pg_sleep(5)")),
            ]
        )

    assert backend(database)
