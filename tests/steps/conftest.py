"""A world with a database of either kind in it."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Connection, delete, insert, make_url

from app.storage.database import Database
from app.storage.tables import HASH_KEYS, AuditDoorRow, Base, ForwardingRow
from tests.clock import Clock
from tests.keys import KEYS
from tests.steps.world import World


@pytest.fixture(scope="session")
def shared_postgres(postgres_server: str, postgres_template: str) -> Iterator[Database]:
    """One PostgreSQL database for all of these tests: each empties it instead of making one."""
    name = f"vouch_{uuid4().hex}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
        sql.Identifier(name), sql.Identifier(postgres_template)
    )
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(create)
    url = make_url(postgres_server).set(drivername="postgresql+psycopg", database=name)
    database = Database(url.render_as_string(hide_password=False), secret_keys=KEYS)
    yield database
    database.close()
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def empty(connection: Connection) -> None:
    # While its door is open, the audit log can be emptied as well.
    connection.execute(insert(AuditDoorRow).values(id=1))
    for table in reversed(Base.metadata.sorted_tables):
        # Its databases know the hash key by heart.
        if table not in (AuditDoorRow.__table__, HASH_KEYS):
            connection.execute(table.delete())
    connection.execute(delete(AuditDoorRow))
    connection.execute(insert(ForwardingRow).values(id=1, slow_count=0))


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
    return World(database, clock)


@pytest.fixture
def sqlite_world(sqlite: Database, clock: Clock) -> World:
    """For what no database has a say in."""
    return World(sqlite, clock)
