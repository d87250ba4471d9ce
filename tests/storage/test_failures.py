"""Is the database's outage an outage, and a wrong statement a fault of ours, on either database?"""

import re
import sqlite3
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, exc, insert, text
from sqlalchemy.exc import DBAPIError

from app.storage.database import Database
from app.storage.errors import StatementFailed, StorageUnavailable
from app.storage.failures import failure, is_outage
from app.storage.reading import PeoplesReads
from app.storage.tables import IdentityRow
from app.storage.vault import Vault
from tests.clock import START

SECRET = "secret-customer"
LINK = {
    "platform": "twitch",
    "account_id": SECRET,
    "customer_id": SECRET,
    "created_at": START,
    "updated_at": START,
}


def twice(connection: Connection) -> None:
    for _ in range(2):
        connection.execute(insert(IdentityRow).values(LINK))


def nothing_in_it(connection: Connection) -> None:
    connection.execute(insert(IdentityRow).values({**LINK, "customer_id": None}))


def no_sql(connection: Connection) -> None:
    connection.execute(text("SELEC 1"))


def no_such_function(connection: Connection) -> None:
    connection.execute(text("SELECT no_such_function(1)"))


def no_such_parameter(connection: Connection) -> None:
    connection.execute(text("SELECT :value"))


def no_value_of_its_kind(connection: Connection) -> None:
    connection.execute(text("SELECT :value"), {"value": object()})


def no_such_attribute(connection: Connection) -> None:
    connection.execute(insert(IdentityRow).values({**LINK, "nothing": 1}))


FAULTS = (
    twice,
    nothing_in_it,
    no_sql,
    no_such_function,
    no_such_parameter,
    no_value_of_its_kind,
    no_such_attribute,
)


@pytest.mark.parametrize("step", FAULTS)
def test_a_wrong_statement_is_a_fault_of_ours_with_a_traceback_and_without_values(
    database: Database, step: Callable[[Connection], None]
) -> None:
    with pytest.raises(StatementFailed) as caught:
        database.write(step)

    told = "".join(traceback.format_exception(caught.value))
    assert step.__name__ in told
    assert SECRET not in told
    assert "StorageUnavailable" not in told


@pytest.mark.parametrize("step", FAULTS[2:])
def test_so_it_is_while_reading(
    database: Database, database_url: str, step: Callable[[Connection], None]
) -> None:
    people = PeoplesReads(database_url, Vault(), lambda: 5)

    with pytest.raises(StatementFailed), database.read() as connection:
        step(connection)
    with pytest.raises(StatementFailed), people.read() as connection:
        step(connection)

    people.close()


def no_such_table(connection: Connection) -> None:
    connection.execute(text("SELECT 1 FROM of_the_next_version"))


def no_such_column(connection: Connection) -> None:
    connection.execute(text("SELECT of_the_next_version FROM identities"))


def no_such_column_to_write(connection: Connection) -> None:
    connection.execute(text("INSERT INTO identities (of_the_next_version) VALUES (1)"))


@pytest.mark.parametrize("step", [no_such_table, no_such_column, no_such_column_to_write])
def test_what_an_upgrade_has_not_made_yet_is_an_outage(
    database: Database, step: Callable[[Connection], None]
) -> None:
    with pytest.raises(StorageUnavailable):
        database.write(step)
    with pytest.raises(StorageUnavailable), database.read() as connection:
        step(connection)


def test_a_fault_of_ours_leaves_the_database_in_use(database: Database) -> None:
    with pytest.raises(StatementFailed):
        database.write(twice)

    assert database.write_problem() is None
    database.write(lambda c: c.execute(insert(IdentityRow).values(LINK)) and None)


# SQLite.


def of_sqlite(act: Callable[[sqlite3.Connection], object], path: Path) -> Any:
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        act(connection)
    except sqlite3.Error as error:
        return wrapped(error, sqlite3.Error)
    finally:
        connection.close()
    raise AssertionError("it succeeded")


def wrapped(error: Exception, base: type[Exception], statement: str | None = "SELECT 1") -> Any:
    return DBAPIError.instance(statement, (), error, base)


def fill(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA max_page_count=2")
    connection.execute("CREATE TABLE t (a)")
    connection.execute("INSERT INTO t VALUES (zeroblob(100000))")


def write_to_what_is_read_only(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA query_only=ON")
    connection.execute("CREATE TABLE t (a)")


def wait_for_another(connection: sqlite3.Connection) -> None:
    path = connection.execute("PRAGMA database_list").fetchone()[2]
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("BEGIN EXCLUSIVE")
        connection.execute("BEGIN IMMEDIATE")
    finally:
        other.close()


def commit_what_was_given_up(connection: sqlite3.Connection) -> None:
    connection.execute("COMMIT")


def open_what_is_no_database(connection: sqlite3.Connection) -> None:
    Path(connection.execute("PRAGMA database_list").fetchone()[2]).write_bytes(b"x" * 4096)
    connection.execute("SELECT * FROM sqlite_master")


def interrupt(connection: sqlite3.Connection) -> None:
    connection.set_progress_handler(lambda: 1, 1)
    connection.execute("SELECT count(*) FROM sqlite_master")


@pytest.mark.parametrize(
    "act",
    [
        fill,
        write_to_what_is_read_only,
        wait_for_another,
        commit_what_was_given_up,
        open_what_is_no_database,
        interrupt,
    ],
)
def test_sqlites_own_trouble_is_an_outage(
    act: Callable[[sqlite3.Connection], object], tmp_path: Path
) -> None:
    error = of_sqlite(act, tmp_path / "file.db")

    assert is_outage(error), error
    assert isinstance(failure(error), StorageUnavailable)


# PostgreSQL.

OUTAGES = {
    "08006": "the connection failed",
    "22P05": "the database's encoding has no place for it",
    "25006": "read-only",
    "25P03": "idle in a transaction",
    "26000": "a pooler's other session",
    "3D000": "the database is gone",
    "40001": "serialization",
    "40P01": "deadlock",
    "42501": "a right was taken away",
    "42P01": "a table of the next version",
    "42703": "a column of the next version",
    "53100": "disk full",
    "53200": "out of memory",
    "53300": "too many connections",
    "55P03": "a lock is kept",
    "57014": "ended for its time",
    "57P01": "the server stops",
    "57P03": "the server starts",
    "58030": "I/O error",
    "XX000": "a bug of the server's",
    "XX001": "damaged files",
}
WRONG = ("22001", "22003", "22P02", "23502", "23503", "23505", "25P02", "42601", "42804", "42883")


def of_postgres(sqlstate: str) -> Any:
    return wrapped(psycopg.errors.lookup(sqlstate)("what it says"), psycopg.Error)


@pytest.mark.parametrize("sqlstate", OUTAGES)
def test_postgresqls_own_trouble_is_an_outage(sqlstate: str) -> None:
    assert is_outage(of_postgres(sqlstate)), OUTAGES[sqlstate]


@pytest.mark.parametrize("sqlstate", WRONG)
def test_what_postgresql_refuses_is_a_fault_of_ours(sqlstate: str) -> None:
    assert not is_outage(of_postgres(sqlstate))


def test_a_connection_that_is_lost_is_an_outage_whatever_the_error() -> None:
    error = of_postgres("42601")
    error.connection_invalidated = True

    assert is_outage(error)


def test_a_statement_that_was_prepared_before_a_migration_is_prepared_again() -> None:
    stale = psycopg.errors.FeatureNotSupported("cached plan must not change result type")
    missing = psycopg.errors.FeatureNotSupported("there is no such feature")

    assert is_outage(wrapped(stale, psycopg.Error))
    assert not is_outage(wrapped(missing, psycopg.Error))


def test_an_address_that_cannot_be_connected_to_is_an_outage() -> None:
    gone = Database("postgresql+psycopg://nobody@127.0.0.1:1/nothing?no_such_option=1")

    with pytest.raises(StorageUnavailable):
        gone.write(lambda _: None)

    gone.close()


# SQLAlchemy.


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (exc.TimeoutError("all connections are in use"), True),
        (exc.DisconnectionError("gone"), True),
        (exc.PendingRollbackError("the transaction is over"), True),
        (exc.ArgumentError("what is this"), False),
        (exc.CompileError("what is this"), False),
        (exc.InvalidRequestError("not now"), False),
        (exc.NoSuchColumnError("q"), False),
        (exc.StatementError("wrong", "SELECT 1", (), ValueError(SECRET)), False),
    ],
)
def test_sqlalchemys_own_errors(error: exc.SQLAlchemyError, is_one: bool) -> None:
    assert is_outage(error) is is_one
    assert type(failure(error)) is (StorageUnavailable if is_one else StatementFailed)


def test_what_is_not_the_databases_stays_as_it_is() -> None:
    ours = LookupError("ours")

    assert failure(ours) is ours


def test_only_one_place_makes_an_outage_of_sqlalchemys_errors() -> None:
    """Elsewhere such an error would become a 503 without a look at what it is."""
    app = Path(__file__).parents[2] / "app"
    wrong = [
        str(file.relative_to(app))
        for file in app.rglob("*.py")
        if re.search(
            r"except [^:]*SQLAlchemyError[^:]*:\s+raise StorageUnavailable", file.read_text("utf-8")
        )
    ]

    assert wrong == []
