"""Do statements that travel together do what they do apart, also when one fails?"""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from app.storage.database import Database
from app.storage.errors import StatementFailed, StorageUnavailable
from app.storage.pipeline import Reply, in_one_trip

MAKE = ("CREATE TABLE pairs (a integer PRIMARY KEY, b text)", ())


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    opened = Database(postgres_url)
    yield opened
    opened.close()


def test_each_statement_has_its_own_reply(database: Database) -> None:
    replies = database.write(
        lambda c: in_one_trip(
            c,
            [
                MAKE,
                ("INSERT INTO pairs VALUES ($1, $2), ($3, $4)", (1, "one", 2, "two")),
                ("INSERT INTO pairs VALUES ($1, $2) ON CONFLICT DO NOTHING", (1, "again")),
                ("SELECT b FROM pairs WHERE a = ANY($1) ORDER BY a", ([1, 2],)),
            ],
        )
    )

    assert [reply.count for reply in replies[1:3]] == [2, 0]
    assert replies[3] == Reply(2, [("one",), ("two",)])


def test_a_statement_that_fails_undoes_the_transaction_and_is_sqlalchemys_error(
    database: Database,
) -> None:
    seen: list[Exception] = []
    database.write(lambda c: in_one_trip(c, [MAKE]) and None)

    def fail(connection: Connection) -> None:
        insert = ("INSERT INTO pairs VALUES ($1, $2)", (1, "one"))
        try:
            in_one_trip(connection, [insert, insert, ("SELECT 1", ())])
        except DBAPIError as error:
            seen.append(error)
            raise

    with pytest.raises(StatementFailed, match="duplicate key"):
        database.write(fail)

    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM pairs")).scalar_one() == 0
    assert isinstance(seen[0], IntegrityError)
    assert "one" not in str(seen[0].statement or "")


def test_a_session_that_ended_meanwhile_is_not_used_again(database: Database) -> None:
    end = [("SELECT pg_terminate_backend(pg_backend_pid())", ()), ("SELECT 1", ())]

    with pytest.raises(StorageUnavailable):
        database.write(lambda c: in_one_trip(c, end) and None)

    assert database.write(lambda c: in_one_trip(c, [("SELECT 1", ())]))[0].rows == [(1,)]
