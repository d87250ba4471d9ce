"""Does the database tell who sleeps, and is its silence noticed?"""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text

from app.storage.database import Database
from app.storage.listening import DUE, Listener
from tests.keys import KEYS

NOTICE = f"SELECT pg_notify('{DUE}', '')"
DROP = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE datname = current_database() AND query ILIKE 'listen%'"
)


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    opened = Database(postgres_url, secret_keys=KEYS)
    yield opened
    opened.close()


@pytest.fixture
def heard() -> threading.Semaphore:
    return threading.Semaphore(0)


@pytest.fixture
def listener(postgres_url: str, heard: threading.Semaphore) -> Iterator[Listener]:
    """One that listens already, and has said so once."""
    made = Listener(postgres_url, DUE, heard.release)
    made.start()
    assert heard.acquire(timeout=10)
    yield made
    made.stop()


def execute(database: Database, statement: str) -> None:
    database.write(lambda c: c.execute(text(statement)) and None)


def until(holds: Callable[[], bool], seconds: float = 10) -> None:
    give_up = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < give_up, "it did not happen"
        time.sleep(0.01)


def test_a_notice_is_heard_when_its_transaction_is_committed(
    database: Database, listener: Listener, heard: threading.Semaphore
) -> None:
    execute(database, NOTICE)

    assert heard.acquire(timeout=5)
    assert not heard.acquire(blocking=False)


def test_after_the_connection_was_lost_it_listens_again_and_takes_it_as_a_notice(
    database: Database, listener: Listener, heard: threading.Semaphore
) -> None:
    execute(database, DROP)

    assert heard.acquire(timeout=10)
    until(lambda: listener.is_listening)
    execute(database, NOTICE)
    assert heard.acquire(timeout=5)


def test_it_does_not_claim_to_listen_where_nobody_answers() -> None:
    listener = Listener("postgresql+psycopg://127.0.0.1:1/none", DUE, lambda: None)

    listener.start()
    time.sleep(0.2)

    assert not listener.is_listening
    listener.stop()


def test_it_can_be_stopped_at_once_twice_and_before_it_began(
    listener: Listener, postgres_url: str
) -> None:
    began = time.monotonic()

    listener.stop()
    listener.stop()
    Listener(postgres_url, DUE, lambda: None).stop()

    assert time.monotonic() - began < 1
    assert not listener.is_listening
