"""What is answered while storage fails, and is the service well again when it does not?"""

import resource
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from signal import SIGHUP

import psycopg
import pytest
from sqlalchemy import make_url

from app.sandbox.books import Books
from app.sandbox.server import SandboxServer
from app.storage.migrate import upgrade
from tests.hard.conftest import Survived
from tests.hard.disks import fill, small_disk
from tests.hard.harness import CHALLENGE, Installation, Web, wait_until, wait_while_it_falls
from tests.hard.history import History
from tests.hard.platform import Load, Message, follow, post

pytestmark = [pytest.mark.hard, pytest.mark.timeout(120)]

# A few of these in one transaction do not fit into SQLite's cache: it writes before the commit.
BIG = 3 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", megabytes=48) as folder:
        yield folder


def send_all(web: Web, messages: Sequence[Message], callers: int) -> dict[str, int]:
    """Send each once, several at a time; the status of each."""
    with ThreadPoolExecutor(callers) as pool:
        statuses = pool.map(lambda message: post(web.port, message), messages)
        return dict(zip((message.key for message in messages), statuses, strict=True))


def numbered(numbers: range, padding: int = 0) -> list[Message]:
    return [follow(f"event-{n}", f"account-{n}", padding=padding) for n in numbers]


def limit_files(web: Web, most_bytes: int) -> Callable[[], None]:
    """Let the service's files grow no further; call what this returns to lift it again."""
    pids = [web.pid, *web.children()]
    before = [resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids]

    def set_to(limits: Sequence[tuple[int, int]]) -> None:
        for pid, limit in zip(pids, limits, strict=True):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)

    set_to([(most_bytes, hard) for _, hard in before])
    return lambda: set_to(before)


def check_nothing_is_half_written(history: History, answered: dict[str, int]) -> None:
    """What was answered 2xx is there, and what is there is whole."""
    keys = Counter(history.event_keys())
    assert set(keys.values()) <= {1}
    assert {key for key, status in answered.items() if status == 204} <= keys.keys()
    assert len(history.attempts()) == len(keys)
    assert len(history.awards()) == len(keys)


@pytest.mark.parametrize("way", ["disk-full", "file-too-large"])
def test_while_the_disk_is_full_nothing_is_acknowledged_and_then_all_is_well_again(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    gameball: SandboxServer,
    books: Books,
    survived: Survived,
    way: str,
) -> None:
    folder: Path = request.getfixturevalue("disk") if way == "disk-full" else tmp_path
    url = f"sqlite:///{folder}/vouch.db"
    upgrade(url)
    installation, history = (
        Installation(folder=tmp_path, database_url=url, gameball_url=gameball.url),
        History(url),
    )
    history.link(range(200))
    try:
        web = installation.serve()
        answered = send_all(web, numbered(range(20)), callers=8)
        assert set(answered.values()) == {204}

        largest = max(file.stat().st_size for file in folder.glob("vouch.db*"))
        free = fill(folder) if way == "disk-full" else limit_files(web, largest + 8_192)
        small = send_all(web, numbered(range(20, 60)), callers=8)
        big = send_all(web, numbered(range(60, 90), padding=BIG), callers=15)
        small |= send_all(web, numbered(range(90, 120)), callers=8)
        while_full = Counter([*small.values(), *big.values()])
        check_nothing_is_half_written(history, answered | small | big)
        free()
        recovered = wait_until(lambda: post(web.port, follow("x", "account-199")) == 204, 15, "ok")
        again = send_all(web, numbered(range(120)), callers=8)
        wait_while_it_falls(history.owed, "everything owed is sent")
        wait_until(lambda: books.report().pending_grants == 0, 5, "the grants")
    finally:
        installation.end()
        history.close()

    assert while_full.keys() <= {204, 503}
    assert while_full[503] >= 60
    assert set(again.values()) == {204}
    paid = {(f"customer-{n}", CHALLENGE): 1 for n in [*range(120), 199]}
    assert history_is(books, paid)
    survived(
        faults=while_full[503], kept_though_full=while_full[204], well_after=f"{recovered:.1f} s"
    )


def history_is(books: Books, paid: dict[tuple[str, int], int]) -> bool:
    return books.report().counts == paid


def test_a_log_that_cannot_be_written_costs_nothing(
    installation: Installation, history: History, survived: Survived
) -> None:
    history.link(range(10))

    web = installation.serve(log=Path("/dev/full"))
    answered = send_all(web, numbered(range(10)), callers=4)
    web.tell(SIGHUP)
    wait_while_it_falls(history.owed, "everything owed is sent")

    assert set(answered.values()) == {204}
    assert history.states() == {"accepted": 10}
    survived(events=10)


@contextmanager
def lock(url: str) -> Iterator[None]:
    """Hold the database as a careless administrator would."""
    if url.startswith("sqlite"):
        path = make_url(url).database
        assert path is not None
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.rollback()
        connection.close()
        return
    with psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://")) as session:
        session.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        yield
        session.rollback()


def test_while_somebody_locks_the_database_nothing_is_acknowledged(
    installation: Installation, history: History, survived: Survived
) -> None:
    history.link(range(30))
    web = installation.serve()
    # The platform sends the same again: an event may be stored after its 503.
    messages = numbered(range(10))

    with lock(installation.database_url):
        began = time.monotonic()
        while_locked = send_all(web, messages, callers=10)
        seconds = time.monotonic() - began
    recovered = wait_until(lambda: post(web.port, follow("x", "account-29")) == 204, 10, "ok")
    again = send_all(web, messages, callers=10)
    wait_while_it_falls(history.owed, "everything owed is sent")

    assert Counter(while_locked.values()) == {503: 10}
    assert seconds < 10
    assert set(again.values()) == {204}
    assert history.states() == {"accepted": 11}
    survived(faults=10, answered_after=f"{seconds:.1f} s", well_after=f"{recovered:.1f} s")


def test_a_server_that_drops_its_connections_costs_nothing(
    request: pytest.FixtureRequest,
    postgres_url: str,
    tmp_path: Path,
    gameball: SandboxServer,
    books: Books,
    survived: Survived,
) -> None:
    """As when it restarts: a commit may be lost, or be done and never answered."""
    installation, history = (
        Installation(folder=tmp_path, database_url=postgres_url, gameball_url=gameball.url),
        History(postgres_url),
    )
    history.link(range(10_000))
    administrator = psycopg.connect(
        postgres_url.replace("postgresql+psycopg://", "postgresql://"), autocommit=True
    )
    drop = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    dropped = 0
    try:
        web = installation.serve()
        load = Load(port=web.port)
        with load.running(callers=4):
            for _ in range(20):
                time.sleep(0.2)
                row = administrator.execute(drop).fetchone()
                dropped += row[0] if row else 0
        wait_while_it_falls(history.owed, "everything owed is sent")
        wait_until(lambda: books.report().pending_grants == 0, 5, "the grants")
        keys = history.event_keys()
    finally:
        installation.end()
        history.close()
        administrator.close()

    assert set(load.failures) <= {"503"}
    assert sorted(keys) == sorted(f"event-{n}" for n in load.answered)
    assert books.report().counts == {(f"customer-{n}", CHALLENGE): 1 for n in load.answered}
    survived(faults=dropped, events=len(load.answered), refused=len(load.failures))
