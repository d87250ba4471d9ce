"""Does anything get lost, or paid twice, when the PostgreSQL server or the way to it fails?"""

import random
import time
from collections.abc import Iterator, Sized
from pathlib import Path

import pytest

from app.sandbox.books import Books
from app.sandbox.server import SandboxServer
from tests.hard.conftest import Survived
from tests.hard.disks import fill, small_disk
from tests.hard.harness import (
    CHALLENGE,
    Installation,
    configuration,
    wait_until,
    wait_while_it_falls,
)
from tests.hard.history import History
from tests.hard.platform import Load, follow, post
from tests.hard.servers import OwnPostgres, Proxy, new_folder

pytestmark = [pytest.mark.hard, pytest.mark.timeout(240)]

KILLS, SESSION_KILLS, RESTARTS, FULL_DISKS = 8, 20, 4, 3


@pytest.fixture
def disk(request: pytest.FixtureRequest) -> Iterator[Path | None]:
    """Where the server keeps everything: of so many megabytes, if the test says so."""
    megabytes: int | None = getattr(request, "param", None)
    if megabytes is None:
        yield None
        return
    folder = new_folder()
    with small_disk(folder, megabytes):
        yield folder
    folder.rmdir()


@pytest.fixture
def postgres(disk: Path | None) -> Iterator[OwnPostgres]:
    made = OwnPostgres(disk)
    try:
        made.make_database()
        yield made
    finally:
        made.end()


@pytest.fixture
def installation(
    tmp_path: Path, postgres: OwnPostgres, gameball: SandboxServer
) -> Iterator[Installation]:
    made = Installation(folder=tmp_path, database_url=postgres.url, gameball_url=gameball.url)
    yield made
    made.end()


@pytest.fixture
def history(postgres: OwnPostgres) -> Iterator[History]:
    opened = History(postgres.url)
    yield opened
    opened.close()


def settle(history: History, books: Books, answered: set[int]) -> float:
    """Wait until all is sent, and check it against the sandbox's own books."""
    seconds = wait_while_it_falls(history.owed, "everything owed is sent")
    wait_until(lambda: books.report().pending_grants == 0, 10, "the grants")
    keys = set(history.event_keys())
    lost = {f"event-{number}" for number in answered} - keys
    assert lost == set()
    assert keys == {f"event-{number}" for number in answered}
    assert books.report().counts == {(f"customer-{n}", CHALLENGE): 1 for n in answered}
    return seconds


def test_a_server_that_is_killed_restarted_and_crashes_loses_nothing_that_was_answered(
    installation: Installation,
    postgres: OwnPostgres,
    history: History,
    books: Books,
    survived: Survived,
) -> None:
    chance = random.Random(30)
    history.link(range(20_000))
    web = installation.serve("--no-worker")
    installation.work()
    load = Load(port=web.port)
    crashed = 0

    with load.running(callers=3):
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.1, 0.6))
            postgres.kill()
            time.sleep(chance.uniform(0, 0.3))
            postgres.start()
        for mode in ["fast", "immediate"] * (RESTARTS // 2):
            time.sleep(chance.uniform(0.1, 0.6))
            postgres.stop(mode)
            postgres.start()
        for _ in range(SESSION_KILLS):
            time.sleep(chance.uniform(0.2, 0.5))
            crashed += postgres.kill_one_session(chance.random())
        well = wait_until(
            lambda: post(web.port, follow("event-19999", "account-19999")) == 204, 15, "well again"
        )
    load.answered.add(19_999)
    draining = settle(history, books, load.answered)

    assert set(load.failures) <= {"503", "TimeoutError", "ConnectionError"}
    assert not any(failure.startswith("4") for failure in load.failures)
    survived(
        kills=KILLS + crashed,
        faults=RESTARTS,
        events=len(load.answered),
        refused=len(load.failures),
        well_after=f"{well:.1f} s",
        drained_after=f"{draining:.1f} s",
    )


def wait_for_more(happened: Sized, what: str) -> None:
    before = len(happened)
    wait_until(lambda: len(happened) > before + 5, 20, what)


@pytest.mark.parametrize("disk", [250], indirect=True)
def test_a_server_whose_disk_is_full_keeps_what_was_answered_and_is_well_when_there_is_room(
    installation: Installation,
    postgres: OwnPostgres,
    history: History,
    books: Books,
    disk: Path,
    survived: Survived,
) -> None:
    """It refuses what does not fit, or goes down when its own log does not."""
    history.link(range(20_000))
    web = installation.serve()
    load = Load(port=web.port, pause_seconds=0.005)

    with load.running(callers=4):
        for _ in range(FULL_DISKS):
            time.sleep(0.5)
            free = fill(disk)
            wait_for_more(load.failures, "refusals")
            time.sleep(0.5)
            free()
            postgres.start()
            wait_for_more(load.answered, "well again")
    draining = settle(history, books, load.answered)

    assert set(load.failures) <= {"503"}
    survived(
        faults=FULL_DISKS,
        events=len(load.answered),
        refused=len(load.failures),
        drained_after=f"{draining:.1f} s",
    )


def test_a_frozen_server_gets_503_in_time_and_nothing_is_lost(
    installation: Installation,
    postgres: OwnPostgres,
    history: History,
    books: Books,
    survived: Survived,
) -> None:
    history.link(range(20_000))
    web = installation.serve()
    load = Load(port=web.port)
    slowest = 0.0

    with load.running(callers=2):
        for number in range(2):
            time.sleep(1)
            with postgres.frozen():
                time.sleep(0.5)
                began = time.monotonic()
                status = post(web.port, follow(f"event-{19_000 + number}", "account-19000"))
                slowest = max(slowest, time.monotonic() - began)
                assert status == 503
    load.answered |= _taken_after_all(history, {19_000, 19_001})
    wait_while_it_falls(history.owed, "everything owed is sent")

    assert slowest < 12
    assert set(load.failures) <= {"503", "TimeoutError"}
    assert {f"event-{number}" for number in load.answered} <= set(history.event_keys())
    assert set(books.report().counts.values()) == {1}
    survived(faults=2, events=len(load.answered), slowest_answer=f"{slowest:.1f} s")


def _taken_after_all(history: History, numbers: set[int]) -> set[int]:
    """A commit that was on its way when the server froze may be done, and answered 503."""
    keys = set(history.event_keys())
    return {number for number in numbers if f"event-{number}" in keys}


@pytest.mark.parametrize("way", ["cut", "silent", "slow"])
def test_a_worker_that_is_cut_off_from_the_server_keeps_nobody_unpaid_and_pays_nobody_twice(
    installation: Installation,
    postgres: OwnPostgres,
    history: History,
    books: Books,
    survived: Survived,
    way: str,
) -> None:
    """It has calls in flight whose answers it cannot write down; the others go on meanwhile."""
    owed, times = 300, 4
    proxy = Proxy(postgres.socket_path)
    installation.text = configuration(per_second=60, per_30_seconds=2_000)
    installation.database_url = proxy.url
    installation.work()
    installation.database_url = postgres.url
    history.owe(owed, [CHALLENGE])
    installation.work()

    try:
        for _ in range(times):
            time.sleep(0.3)
            if way == "cut":
                proxy.cut()
            elif way == "silent":
                proxy.is_silent.set()
            else:
                proxy.delay_seconds = 0.2
            time.sleep(0.6)
            proxy.mend()
        if way == "silent":
            proxy.is_silent.set()
        seconds = wait_while_it_falls(history.owed, "the other one sends everything")
        wait_until(lambda: books.report().pending_grants == 0, 10, "the grants")
    finally:
        proxy.end()

    assert history.states().keys() <= {"accepted", "granted"}
    assert books.report().counts == {(f"customer-{n}", CHALLENGE): 1 for n in range(owed)}
    assert books.report().concurrent_per_customer == 1
    survived(faults=times + (way == "silent"), attempts=owed, settled_after=f"{seconds:.1f} s")
