"""Is all well again within seconds when another PostgreSQL server takes the place of ours?"""

import contextlib
import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest

from app.sandbox.books import Books
from app.sandbox.server import SandboxServer
from tests.hard.conftest import Survived
from tests.hard.harness import CHALLENGE, Installation, Web, wait_until
from tests.hard.history import History
from tests.hard.platform import Load, follow, post
from tests.hard.servers import OwnPostgres, Proxy, Standby

pytestmark = [pytest.mark.hard, pytest.mark.timeout(240)]

WELL_WITHIN_SECONDS = 10


@pytest.fixture
def primary() -> Iterator[OwnPostgres]:
    made = OwnPostgres()
    try:
        made.make_database()
        yield made
    finally:
        made.end()


@pytest.fixture
def standby(primary: OwnPostgres) -> Iterator[Standby]:
    made = Standby(primary)
    yield made
    made.end()


@pytest.fixture
def way(primary: OwnPostgres) -> Iterator[Proxy]:
    """The one address, whichever server is behind it."""
    made = Proxy(primary.socket_path)
    yield made
    made.end()


@pytest.fixture
def installation(tmp_path: Path, way: Proxy, gameball: SandboxServer) -> Iterator[Installation]:
    made = Installation(folder=tmp_path, database_url=way.url, gameball_url=gameball.url)
    yield made
    made.end()


def is_ready(web: Web) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{web.port}/readyz", timeout=5) as answer:
            return bool(json.load(answer)["database"] == "ok")
    except (HTTPError, OSError):
        return False


@pytest.mark.parametrize("connections", ["stay-open", "are-cut"])
def test_another_server_takes_over_and_nothing_is_restarted_lost_or_paid_twice(
    installation: Installation,
    primary: OwnPostgres,
    standby: Standby,
    way: Proxy,
    books: Books,
    survived: Survived,
    connections: str,
) -> None:
    before = History(primary.url)
    before.link(range(20_000))
    before.close()
    web = installation.serve("--no-worker")
    installation.work()
    load = Load(port=web.port)

    with load.running(callers=4):
        time.sleep(1.5)
        # The old one is fenced, the new one has all of it, and new connections lead there.
        primary.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        primary.execute("SELECT pg_reload_conf()")
        wait_until(standby.is_level, 20, "the standby has everything")
        way.target = standby.socket_path
        standby.promote()
        if connections == "are-cut":
            way.cut()
            way.mend()
            primary.kill()
        began = time.monotonic()
        wait_until(
            lambda: post(web.port, follow("event-19999", "account-19999")) == 204,
            WELL_WITHIN_SECONDS,
            "callbacks are taken",
        )
        wait_until(lambda: is_ready(web), WELL_WITHIN_SECONDS, "ready")
        well = time.monotonic() - began
        time.sleep(1.5)
    load.answered.add(19_999)

    after = History(standby.url)
    with contextlib.closing(after):
        wait_until(after.is_settled, 60, "everything owed is sent")
        wait_until(lambda: books.report().pending_grants == 0, 10, "the grants")
        keys = set(after.event_keys())
    assert keys >= {f"event-{number}" for number in load.answered}
    assert books.report().counts == {
        (f"customer-{key.removeprefix('event-')}", CHALLENGE): 1 for key in keys
    }
    assert set(load.failures) <= {"503", "TimeoutError", "ConnectionError"}
    survived(
        faults=1,
        events=len(load.answered),
        refused=len(load.failures),
        well_after=f"{well:.1f} s",
    )


def test_while_no_server_takes_writes_it_is_not_ready_and_then_it_is_at_once(
    installation: Installation, primary: OwnPostgres, books: Books, survived: Survived
) -> None:
    history = History(primary.url)
    history.link(range(200))
    history.close()
    web = installation.serve()
    assert post(web.port, follow("event-1", "account-1")) == 204
    wait_until(lambda: is_ready(web), 5, "ready")

    primary.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    primary.execute("SELECT pg_reload_conf()")
    wait_until(lambda: not is_ready(web), 15, "known without any callback")
    began = time.monotonic()
    refused = [post(web.port, follow(f"event-{n}", f"account-{n}")) for n in range(2, 12)]
    seconds = time.monotonic() - began
    primary.execute("ALTER SYSTEM RESET default_transaction_read_only")
    primary.execute("SELECT pg_reload_conf()")
    ready = wait_until(lambda: is_ready(web), 10, "ready again")
    # There are two processes; each asks the server at most once a second.
    wait_until(lambda: post(web.port, follow("event-2", "account-2")) == 204, 3, "taken")

    assert set(refused) == {503}
    assert seconds < 10
    wait_until(lambda: len(books.report().counts) == 2, 15, "both are sent")
    survived(faults=1, refused=len(refused), ready_after=f"{ready:.1f} s")
