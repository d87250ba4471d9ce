"""A world with a database of either kind in it."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from app.storage.database import Database
from app.storage.tables import HASH_KEYS
from tests import conftest
from tests.clock import Clock
from tests.conftest import NewDatabase
from tests.keys import KEYS
from tests.steps.world import World

# For a matrix of what no database has a say in.
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture(scope="session")
def shared_postgres(new_postgres: NewDatabase) -> Iterator[Database]:
    """One PostgreSQL database for all of these tests: each empties it instead of making one."""
    with new_postgres() as url:
        database = Database(url, secret_keys=KEYS)
        yield database
        database.close()


def empty(connection: Connection) -> None:
    # Its databases know the hash key by heart.
    conftest.empty(connection, but=[HASH_KEYS])


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[Database]:
    database = Database(sqlite_url, secret_keys=KEYS)
    yield database
    database.close()


@pytest.fixture
def postgres(shared_postgres: Database) -> Database:
    shared_postgres.write(empty)
    return shared_postgres


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Database:
    """A migrated, empty database; the test runs once on each kind."""
    database: Database = request.getfixturevalue(request.param)
    return database


@pytest.fixture
def world(database: Database, clock: Clock) -> World:
    return World(database=database, clock=clock)


@pytest.fixture
def sqlite_world(sqlite: Database, clock: Clock) -> World:
    """For what no database has a say in."""
    return World(database=sqlite, clock=clock)
