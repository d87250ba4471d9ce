"""Do callers that one thread serves share a transaction, and does each get its own end of it?"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, select

from app.domain.clock import new_id
from app.storage.coalesce import parking, run_coalesced
from app.storage.database import Database
from app.storage.errors import StatementFailed, StorageUnavailable
from app.storage.jobs import MOST_ITEMS
from app.storage.tables import EventRow
from app.storage.types import Sealed
from tests.clock import START


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.write(lambda _connection: None)
    yield database
    database.close()


@pytest.fixture
def commits(database: Database) -> list[float]:
    return commits_of(database)


def commits_of(database: Database) -> list[float]:
    """The times of what it commits from now on."""
    times: list[float] = []
    database.write(lambda _connection: None)
    assert database._writes is not None
    event.listen(database._writes, "commit", lambda _connection: times.append(time.monotonic()))
    return times


def keep(connection: Connection, keys: Sequence[str]) -> Sequence[str]:
    for key in keys:
        if key == "poison":
            raise LookupError(key)
        row = {
            "id": new_id(START),
            "source": "twitch",
            "key_hash": key,
            "platform": "twitch",
            "action": "follow",
            "undone": False,
            "actor": "99",
            "occurred_at": START,
            "received_at": START,
            "payload": Sealed(b"{}"),
        }
        connection.execute(insert(EventRow).values(row))
    return [f"kept {key}" for key in keys]


def keeping(database: Database, *keys: str) -> Callable[[], Sequence[Any]]:
    return partial(database.write_each, keep, keys)


def kept(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(select(EventRow.key_hash)).scalars())


def test_writes_of_callers_in_one_thread_are_committed_together(
    database: Database, commits: list[float]
) -> None:
    ends = run_coalesced([keeping(database, f"{n}") for n in range(20)])

    assert len(commits) == 1
    assert ends == [[f"kept {n}"] for n in range(20)]
    assert len(kept(database)) == 20


def test_a_caller_that_fails_fails_alone(database: Database) -> None:
    calls = [keeping(database, "a"), keeping(database, "b", "poison"), keeping(database, "c")]

    ends = run_coalesced(calls)

    assert (ends[0], ends[2]) == (["kept a"], ["kept c"])
    assert isinstance(ends[1], LookupError)
    assert kept(database) == {"a", "c"}


def test_a_constraint_that_refuses_one_caller_spares_the_others(database: Database) -> None:
    keeping(database, "known")()

    ends = run_coalesced([keeping(database, "a"), keeping(database, "known")])

    assert ends[0] == ["kept a"]
    assert isinstance(ends[1], StatementFailed)
    assert kept(database) == {"known", "a"}


def test_who_waits_for_a_lock_that_somebody_keeps_fails_alone(postgres_url: str) -> None:
    """A machine that is frozen in mid-transaction keeps its locks for a quarter of a minute."""
    database, frozen = Database(postgres_url), Database(postgres_url)
    commits = commits_of(database)
    frozen._open()
    assert frozen._writes is not None

    with frozen._writes.begin() as connection:
        keep(connection, ["held"])
        began = time.monotonic()
        ends = run_coalesced([keeping(database, key) for key in ("a", "held", "b")])
        seconds = time.monotonic() - began

    assert (ends[0], ends[2]) == (["kept a"], ["kept b"])
    assert isinstance(ends[1], StorageUnavailable)
    assert len(commits) == 2
    assert seconds < 7
    assert kept(database) == {"a", "b", "held"}
    for one in (database, frozen):
        one.close()


def test_many_who_wait_for_locks_do_not_wait_one_after_another(postgres_url: str) -> None:
    database, frozen = Database(postgres_url), Database(postgres_url)
    held = [f"held-{number}" for number in range(100)]
    frozen._open()
    assert frozen._writes is not None

    with frozen._writes.begin() as connection:
        keep(connection, held)
        began = time.monotonic()
        ends = run_coalesced([keeping(database, key) for key in held])
        seconds = time.monotonic() - began

    assert {type(end) for end in ends} == {StorageUnavailable}
    assert seconds < 8
    for one in (database, frozen):
        one.close()


def test_a_caller_may_write_again_or_not_at_all(database: Database, commits: list[float]) -> None:
    def twice() -> list[Any]:
        return [keeping(database, "first")(), keeping(database, "second")()]

    def never() -> str:
        return "nothing"

    def fails() -> None:
        raise ValueError("before it wrote")

    ends = run_coalesced([twice, never, keeping(database, "a"), fails])

    assert ends[:3] == [[["kept first"], ["kept second"]], "nothing", ["kept a"]]
    assert isinstance(ends[3], ValueError)
    assert len(commits) == 2


def test_it_is_told_once_when_all_have_come_to_their_write(database: Database) -> None:
    seen: list[set[str]] = []

    run_coalesced(
        [keeping(database, "a"), keeping(database, "b")], lambda: seen.append(kept(database))
    )

    assert seen == [set()]
    assert kept(database) == {"a", "b"}


def test_a_database_that_is_gone_fails_everybody_at_once() -> None:
    gone = Database("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    began = time.monotonic()

    ends = run_coalesced([keeping(gone, f"{n}") for n in range(20)])

    gone.close()
    assert {type(end) for end in ends} == {StorageUnavailable}
    assert time.monotonic() - began < 10


def test_threads_beside_it_write_alone(database: Database) -> None:
    alone: list[object] = []

    def look() -> None:
        thread = threading.Thread(target=lambda: alone.append(parking()))
        thread.start()
        thread.join()
        assert parking() is not None

    run_coalesced([look])

    assert alone == [None]
    assert parking() is None


@pytest.mark.parametrize("sizes", [(1_300,), (200, 200, 200, 200), (499, 1, 1)])
def test_more_items_than_one_transaction_should_take_are_several(
    database: Database, commits: list[float], sizes: tuple[int, ...]
) -> None:
    """Each may lock an account, and PostgreSQL has room for few thousands of all at once."""
    together: list[int] = []

    def step(_connection: Connection, items: Sequence[int]) -> Sequence[int]:
        together.append(len(items))
        return [2 * item for item in items]

    ends = run_coalesced([partial(database.write_each, step, range(size)) for size in sizes])

    assert [list(end) for end in ends] == [[2 * i for i in range(size)] for size in sizes]
    assert max(together) <= MOST_ITEMS < sum(together) == sum(sizes)
    assert len(commits) == len(together)
