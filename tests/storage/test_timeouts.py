"""Is a PostgreSQL server that went away, or went silent, noticed in time?"""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from signal import SIGCONT, SIGSTOP
from threading import Barrier

import psycopg
import pytest
from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import OperationalError

from app.storage.coalesce import run_coalesced
from app.storage.database import Database
from app.storage.errors import StorageUnavailable
from app.storage.migrate import is_current, upgrade
from app.storage.pipeline import in_one_trip
from app.storage.postgres import connection_arguments
from app.storage.timeouts import is_refusal

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


def administer(url: str, *statements: str) -> None:
    plain = url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain, autocommit=True) as session:
        session.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE")
        for statement in statements:
            session.execute(statement.encode())


def insert(connection: Connection) -> None:
    connection.execute(text("UPDATE forwarding SET slow_count = slow_count + 1"))


def insert_in_one_trip(connection: Connection) -> None:
    in_one_trip(connection, [("UPDATE forwarding SET slow_count = slow_count + $1", [1])])


def count(database: Database) -> int:
    with database.read() as connection:
        found: int = connection.execute(text("SELECT slow_count FROM forwarding")).scalar_one()
    return found


def demote_open_sessions(database: Database, sessions: int) -> None:
    """As behind one address, after a failover: those that are open lead to what is a standby now.

    New ones lead to the new primary server.
    """

    def demote(barrier: Barrier) -> None:
        def step(connection: Connection) -> None:
            connection.execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"))
            barrier.wait(10)

        database.write(step)

    barrier = Barrier(sessions)
    with ThreadPoolExecutor(sessions) as pool:
        list(pool.map(demote, [barrier] * sessions))


@pytest.mark.parametrize("write", [insert, insert_in_one_trip], ids=["plain", "in one trip"])
def test_sessions_that_have_become_read_only_are_all_given_up_and_cost_no_error(
    database: Database, write: Callable[[Connection], None]
) -> None:
    demote_open_sessions(database, 4)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(database.write, [write] * 8))

    assert count(database) == 8


def test_writes_that_share_a_transaction_are_all_made_after_a_failover(
    database: Database,
) -> None:
    demote_open_sessions(database, 4)

    ends = run_coalesced([lambda: database.write(insert)] * 5)

    assert ends == [None] * 5
    assert count(database) == 5


def test_a_server_that_takes_no_writes_is_read_from_and_asked_once_a_second(
    database: Database, postgres_url: str
) -> None:
    name = make_url(postgres_url).database
    assert name is not None
    set_to = "ALTER DATABASE {} SET default_transaction_read_only = {}"
    administer(postgres_url, set_to.format(name, "on"))

    with pytest.raises(StorageUnavailable, match="read-only transaction"):
        database.write(insert)
    with pytest.raises(StorageUnavailable, match="a moment ago"):
        database.write(insert)
    assert count(database) == 0

    administer(postgres_url, set_to.format(name, "off"))
    time.sleep(1.1)
    database.write(insert)
    assert count(database) == 1


@pytest.mark.parametrize(
    ("sqlstate", "said", "is_one"),
    [
        ("25006", "cannot execute INSERT in a read-only transaction", True),
        ("57P01", "terminating connection due to administrator command", True),
        ("57P03", "the database system is starting up", True),
        ("55000", "cannot acquire lock mode while recovery is in progress", True),
        ("XX000", "cannot assign TransactionIds during recovery", True),
        ("23505", "duplicate key value violates unique constraint", False),
        ("55P03", "canceling statement due to lock timeout", False),
        (None, "in a read-only transaction", False),
    ],
)
def test_what_means_that_a_connection_is_good_for_nothing(
    sqlstate: str | None, said: str, is_one: bool
) -> None:
    error = psycopg.Error(said)
    error.sqlstate = sqlstate

    assert is_refusal(error) is is_one


@pytest.mark.parametrize("way", ["options", "PGOPTIONS"])
def test_a_schema_that_the_operator_names_holds_everywhere(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    administer(postgres_url, "CREATE SCHEMA shop")
    url = make_url(postgres_url)
    options = "-c search_path=shop -c statement_timeout=6s"
    if way == "options":
        url = url.update_query_dict({"options": options})
    else:
        monkeypatch.setenv("PGOPTIONS", options)

    upgrade(url.render_as_string(hide_password=False))

    opened = Database(url.render_as_string(hide_password=False))
    settings = "search_path", "statement_timeout", "lock_timeout", "TimeZone"
    with opened.read() as connection:
        said = [connection.execute(text(f"SHOW {name}")).scalar_one() for name in settings]
        tables = connection.execute(
            text("SELECT count(*) FROM pg_tables WHERE schemaname = 'shop'")
        ).scalar_one()
        assert is_current(connection)
    opened.close()
    assert said == ["shop", "6s", "5s", "UTC"]
    assert tables > 10


def test_what_an_address_says_of_a_connection_is_not_overwritten(postgres_url: str) -> None:
    said = {"application_name": "till", "connect_timeout": "9"}
    url = make_url(postgres_url).update_query_dict(said)

    arguments = connection_arguments(url.render_as_string(hide_password=False))

    assert not said.keys() & arguments.keys()
    assert arguments["keepalives_idle"] == 5


def test_a_database_that_keeps_bytes_instead_of_text_is_refused_with_words(
    postgres_server: str, postgres_url: str
) -> None:
    name = f"{make_url(postgres_url).database}_ascii"
    plain = postgres_server
    with psycopg.connect(plain, autocommit=True) as session:
        session.execute(
            f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
            " TEMPLATE template0".encode()
        )
    url = make_url(postgres_url).set(database=name).render_as_string(hide_password=False)

    try:
        with pytest.raises(OperationalError, match="SQL_ASCII: create one with ENCODING 'UTF8'"):
            upgrade(url)
    finally:
        with psycopg.connect(plain, autocommit=True) as session:
            session.execute(f"DROP DATABASE {name} WITH (FORCE)")
