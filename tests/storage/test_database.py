"""Is a step one transaction, on either database?"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, text, update

from app.storage import database as module
from app.storage.database import Database
from app.storage.errors import StatementFailed, StorageUnavailable
from app.storage.hashes import make_hash_key
from app.storage.tables import ForwardingRow, IdentityRow
from tests.clock import START
from tests.keys import KEYS


def identity(account: str) -> dict[str, Any]:
    return {
        "platform": "twitch",
        "account_id": account,
        "customer_id": "secret-customer",
        "created_at": START,
        "updated_at": START,
    }


def link(connection: Connection, account: str) -> str:
    connection.execute(insert(IdentityRow).values(identity(account)))
    return account


def linked(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(select(IdentityRow.account_id)).scalars())


def test_what_a_step_wrote_is_there_when_it_returns(database: Database) -> None:
    assert database.write(lambda c: link(c, "a")) == "a"

    assert linked(database) == {"a"}


def test_a_step_that_raises_is_undone_and_raises_its_own_error(database: Database) -> None:
    def fail(connection: Connection) -> None:
        link(connection, "a")
        raise LookupError("ours")

    with pytest.raises(LookupError, match="ours"):
        database.write(fail)

    assert linked(database) == set()


def test_a_statement_that_the_database_refuses_is_our_fault_and_names_no_value(
    database: Database,
) -> None:
    database.write(lambda c: link(c, "a"))

    with pytest.raises(StatementFailed) as caught:
        database.write(lambda c: link(c, "a"))

    assert "secret-customer" not in str(caught.value)
    assert linked(database) == {"a"}


def test_a_read_that_fails_is_storage_unavailable(database: Database) -> None:
    with pytest.raises(StorageUnavailable), database.read() as connection:
        connection.execute(text("SELECT a FROM nowhere"))


def test_an_error_of_ours_while_reading_stays_ours(database: Database) -> None:
    with pytest.raises(LookupError), database.read():
        raise LookupError


def test_a_step_for_many_is_given_the_items(database: Database) -> None:
    def double(_connection: Connection, items: Any) -> list[int]:
        return [2 * item for item in items]

    assert database.write_each(double, [1, 2, 3]) == [2, 4, 6]


def test_writers_at_once_lose_no_update(database: Database) -> None:
    def count(connection: Connection) -> None:
        more = ForwardingRow.slow_count + 1
        connection.execute(update(ForwardingRow).values(slow_count=more))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: database.write(count), range(40)))

    with database.read() as connection:
        assert connection.execute(select(ForwardingRow.slow_count)).scalar_one() == 40


def test_it_may_be_closed_twice_and_used_again(database: Database) -> None:
    database.write(lambda c: link(c, "a"))

    database.close()
    database.close()

    assert linked(database) == {"a"}


def test_it_opens_nothing_before_it_is_used() -> None:
    database = Database("postgresql+psycopg://nobody@127.0.0.1:1/nothing", secret_keys=KEYS)

    database.close()


def test_a_server_that_is_not_there_is_storage_unavailable() -> None:
    database = Database("postgresql+psycopg://nobody:hidden@127.0.0.1:1/nothing", secret_keys=KEYS)
    try:
        with pytest.raises(StorageUnavailable) as caught:
            database.write(lambda c: link(c, "a"))
        with pytest.raises(StorageUnavailable), database.read():
            pass
    finally:
        database.close()

    assert "hidden" not in str(caught.value)


def test_a_database_held_by_another_process_is_storage_unavailable(sqlite_url: str) -> None:
    database, stranger = (
        Database(sqlite_url, patience_seconds=0.1, secret_keys=KEYS),
        Database(sqlite_url, secret_keys=KEYS),
    )
    release = threading.Event()
    held = threading.Event()

    def hold(_connection: Connection) -> None:
        held.set()
        assert release.wait(10)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(stranger.write, hold)
        assert held.wait(10)
        with pytest.raises(StorageUnavailable, match="too slow"):
            database.write(lambda c: link(c, "a"))
        seen = linked(database)
        release.set()
        holding.result(10)
    stranger.close()
    database.close()

    assert seen == set()  # and reading never waited


def test_two_transactions_that_met_head_on_both_go_through(postgres_url: str) -> None:
    database = Database(postgres_url, secret_keys=KEYS)
    for account in ("a", "b"):
        database.write(lambda c, account=account: link(c, account))  # type: ignore[misc]
    meet = threading.Barrier(2)
    tries = {"ab": 0, "ba": 0}

    def rename(order: str) -> None:
        def step(connection: Connection) -> None:
            tries[order] += 1
            for position, account in enumerate(order):
                if position == 1 and tries[order] == 1:
                    meet.wait(10)  # each now holds what the other wants
                connection.execute(
                    update(IdentityRow)
                    .where(IdentityRow.account_id == account)
                    .values(customer_id=IdentityRow.account_id)
                )

        database.write(step)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(rename, tries))
    database.close()

    assert min(tries.values()) == 1 < max(tries.values())


def test_the_first_writes_of_a_new_database_make_one_hash_key_between_them(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On SQLite the second to make it would wait behind the writes of the first, and in vain."""
    made = []

    def slowly(*arguments: Any) -> None:
        made.append(threading.current_thread().name)
        time.sleep(0.1)
        make_hash_key(*arguments)

    monkeypatch.setattr(module, "make_hash_key", slowly)
    fresh = Database(database_url, secret_keys=KEYS)

    with ThreadPoolExecutor(4) as pool:
        written = list(pool.map(lambda n: fresh.write(lambda c: link(c, f"a{n}")), range(4)))
    fresh.close()

    assert len(made) == 1
    assert written == ["a0", "a1", "a2", "a3"]
