"""Do people's reads end in time, and leave the intake's connections alone?"""

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, text

from app.storage.database import Database
from app.storage.errors import StorageUnavailable, TooSlow
from app.storage.reading import POOL_SIZE, PeoplesReads
from app.storage.vault import Vault

ENDLESS = {
    True: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
    False: "SELECT pg_sleep(60)",
}


@pytest.fixture
def people(database_url: str) -> Iterator[PeoplesReads]:
    reads = PeoplesReads(database_url, Vault(), lambda: 0.3)
    yield reads
    reads.close()


def endless(connection: Connection) -> None:
    connection.execute(text(ENDLESS[connection.dialect.name == "sqlite"])).all()


def one(people: PeoplesReads) -> int:
    with people.read() as connection:
        found: int = connection.execute(text("SELECT 1")).scalar_one()
    return found


def test_a_query_ends_at_its_deadline(people: PeoplesReads) -> None:
    began = time.monotonic()

    with pytest.raises(TooSlow, match=r"0\.3 s"), people.read() as connection:
        endless(connection)

    assert time.monotonic() - began < 20


def test_its_connection_serves_whoever_is_next(people: PeoplesReads) -> None:
    for _ in range(POOL_SIZE + 40):
        assert one(people) == 1
    for _ in range(3):
        with pytest.raises(TooSlow), people.read_at_one_moment() as connection:
            endless(connection)
        assert one(people) == 1


def test_a_deadline_that_has_passed_ends_nobody_else_s_query(people: PeoplesReads) -> None:
    with people.read() as connection:
        connection.execute(text("SELECT 1")).all()
    time.sleep(0.4)

    with people.read() as connection:
        connection.execute(
            text(f"SELECT count(*) FROM ({' UNION ALL '.join(['SELECT 1'] * 50)}) x")
        )


def test_a_new_deadline_holds_from_the_next_read_on(database_url: str) -> None:
    deadline = [0.2]
    people = PeoplesReads(database_url, Vault(), lambda: deadline[0])
    with pytest.raises(TooSlow, match=r"0\.2 s"), people.read() as connection:
        endless(connection)

    deadline[0] = 0.4
    with pytest.raises(TooSlow, match=r"0\.4 s"), people.read() as connection:
        endless(connection)

    people.close()


def test_another_failure_is_the_storage_s(people: PeoplesReads) -> None:
    with pytest.raises(StorageUnavailable), people.read() as connection:
        connection.execute(text("SELECT * FROM no_such_table"))


def test_readers_on_every_connection_of_theirs_leave_the_intake_its_own(
    database_url: str, people: PeoplesReads
) -> None:
    database = Database(database_url, secret_keys=["a-key-of-the-tests"], pool_size=1)
    readers = [people.read() for _ in range(POOL_SIZE)]
    for reader in readers:
        reader.__enter__().execute(text("SELECT 1"))

    written = database.write(lambda c: c.execute(text("SELECT 2")).scalar_one())
    with database.read() as connection:
        read = connection.execute(text("SELECT 3")).scalar_one()

    assert (written, read) == (2, 3)
    for reader in readers:
        reader.__exit__(None, None, None)
    database.close()
