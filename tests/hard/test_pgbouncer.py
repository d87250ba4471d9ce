"""Does everything go right behind PgBouncer, and is it told when its mode does not fit?"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.sandbox.books import Books
from app.sandbox.server import SandboxServer
from app.storage.migrate import upgrade
from tests.hard.conftest import Survived
from tests.hard.harness import CHALLENGE, ROOT, Installation, wait_until
from tests.hard.history import KEYS, History
from tests.hard.platform import Load, follow, post
from tests.hard.servers import OwnPostgres, PgBouncer

pytestmark = [pytest.mark.hard, pytest.mark.timeout(240)]

MakeBouncer = Callable[[str, int], PgBouncer]


@pytest.fixture
def postgres() -> Iterator[OwnPostgres]:
    made = OwnPostgres()
    try:
        made.execute("CREATE DATABASE vouch")
        yield made
    finally:
        made.end()


@pytest.fixture
def bouncer(postgres: OwnPostgres) -> Iterator[MakeBouncer]:
    made: list[PgBouncer] = []

    def make(mode: str, sessions: int) -> PgBouncer:
        made.append(PgBouncer(postgres, mode, sessions))
        return made[-1]

    yield make
    for one in made:
        one.end()


def said_by_check(installation: Installation) -> list[tuple[str, str]]:
    done = subprocess.run(
        [sys.executable, "-m", "app", "check", "--offline", "--json"],
        cwd=ROOT,
        env=installation._environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return [
        (one["level"], one["text"])
        for one in json.loads(done.stdout)["findings"]
        if one["place"] == "DATABASE_URL" and "pool" in one["text"] and "://" not in one["text"]
    ]


# In transaction mode there are fewer sessions than the service has connections.
@pytest.mark.parametrize(
    ("mode", "sessions", "said"),
    [
        ("session", 80, {}),
        ("session", 80, {"pooler": "session"}),
        ("transaction", 6, {"pooler": "transaction"}),
    ],
    ids=["session", "session, said so", "transaction"],
)
def test_callbacks_are_kept_and_sent_once_and_a_failover_is_over_in_seconds(
    postgres: OwnPostgres,
    bouncer: MakeBouncer,
    tmp_path: Path,
    gameball: SandboxServer,
    books: Books,
    survived: Survived,
    mode: str,
    sessions: int,
    said: dict[str, str],
) -> None:
    url = bouncer(mode, sessions).url(**said)
    upgrade(url, KEYS)
    history = History(postgres.url)
    history.link(range(20_000))
    installation = Installation(folder=tmp_path, database_url=url, gameball_url=gameball.url)
    try:
        web = installation.serve("--no-worker")
        installation.work()
        assert all(level == "ok" for level, _ in said_by_check(installation))
        load = Load(port=web.port)
        with load.running(callers=4):
            time.sleep(2)
            if said:
                # Sessions of the pooler's that are open have become read-only, new ones may write.
                postgres.execute("ALTER DATABASE vouch SET default_transaction_read_only = off")
                postgres.execute("ALTER SYSTEM SET default_transaction_read_only = on")
                postgres.execute("SELECT pg_reload_conf()")
            wait_until(
                lambda: post(web.port, follow("event-19999", "account-19999")) == 204, 10, "taken"
            )
            time.sleep(1.5)
        load.answered.add(19_999)
        wait_until(history.is_settled, 60, "everything owed is sent")
        wait_until(lambda: books.report().pending_grants == 0, 10, "the grants")
        keys = set(history.event_keys())
    finally:
        history.close()
        installation.end()

    assert keys == {f"event-{number}" for number in load.answered}
    assert books.report().counts == {(f"customer-{n}", CHALLENGE): 1 for n in load.answered}
    assert set(load.failures) <= {"503"}
    survived(faults=len(said), events=len(load.answered), refused=len(load.failures))


def test_vouch_check_tells_of_a_mode_that_the_address_does_not_say(
    postgres: OwnPostgres, bouncer: MakeBouncer, tmp_path: Path
) -> None:
    upgrade(postgres.url, KEYS)
    unsaid = bouncer("transaction", 6).url()
    by_session = bouncer("session", 10)
    full = bouncer("session", 1)

    def told(url: str) -> list[tuple[str, str]]:
        return said_by_check(
            Installation(folder=tmp_path, database_url=url, gameball_url="http://127.0.0.1:1")
        )

    [(level, text)] = told(unsaid)
    assert (level, "write ?pooler=transaction" in text) == ("error", True)
    [(level, text)] = told(by_session.url(pooler="transaction"))
    assert (level, "no pooler in transaction mode" in text) == ("warning", True)
    assert told(by_session.url()) == [("ok", "a pooler in session mode is in front of the server")]
    assert told(full.url()) == [("ok", "a pooler in session mode is in front of the server")]
    assert told(postgres.url) == []
