"""Does the confirmer look when Gameball says something, and not only when its sleep is over?"""

import time
from collections.abc import Iterator

import pytest

from app.domain.attempts import State
from app.domain.nudges import Nudge
from app.gameball.client import GameballAccount, GameballClient
from app.sandbox.server import SandboxServer
from app.sandbox.settings import Campaign
from app.steps import nudging
from app.storage.database import Database
from app.worker.confirmer import Confirmer
from app.worker.paced_reader import Reader
from tests.keys import KEYS
from tests.steps.world import World
from tests.worker.conftest import READ_SECONDS, MakeForwarder
from tests.worker.test_confirmer import PACE, POLICY, Desk

# As long as nobody wakes it, it sleeps for longer than a test may take.
ASLEEP_SECONDS = 600.0


@pytest.fixture
def desk(world: World, sandbox: SandboxServer, forwarder_of: MakeForwarder) -> Iterator[Desk]:
    account = GameballAccount(
        base_url=sandbox.url,
        api_version="v4.1",
        api_key="sandbox-api-key",
        secret_key="sandbox-secret-key",
        connect_timeout=0.5,
        read_timeout=READ_SECONDS,
    )
    client = GameballClient(account)
    reader = Reader(database=world.database, pace=PACE, now=world.clock.now, seconds_each=1.0)
    confirmer = Confirmer(
        reader, client, POLICY, threads=2, poll_seconds=ASLEEP_SECONDS, listens=True
    )
    yield Desk(world=world, sandbox=sandbox, forwarder=forwarder_of(world), confirmer=confirmer)
    confirmer.stop()


def hear(desk: Desk, *, is_proof: bool = False) -> None:
    """In another process, or in the confirmer's own where the database is."""
    database = desk.world.database
    told = Nudge(customer_id="ann", heard_at=desk.world.now, challenge_id=1, is_proof=is_proof)
    if database.is_embedded:
        database.write_each(nudging.hear, [told])
        desk.confirmer.wake()
        return
    other = Database(database.url, secret_keys=KEYS)
    other.write_each(nudging.hear, [told])
    other.close()


def granted_within(desk: Desk, attempt_id: str, seconds: float) -> bool:
    give_up = time.monotonic() + seconds
    while desk.world.state(attempt_id) is not State.GRANTED:
        if time.monotonic() > give_up:
            return False
        time.sleep(0.02)
    return True


def test_a_nudge_wakes_it(desk: Desk) -> None:
    attempt_id = desk.accepted()
    desk.confirmer.start()
    time.sleep(1)
    assert desk.world.state(attempt_id) is State.ACCEPTED

    hear(desk)

    assert granted_within(desk, attempt_id, 20)


def test_of_a_hidden_campaign_without_records_only_a_proof_tells(desk: Desk) -> None:
    """Nothing of it can be read: no progress, no points, and a name that another shares."""
    hidden = Campaign(id=1, name="Follow us", points=0, visibility="NotVisible")
    desk.sandbox.books.configure(campaigns=(hidden, Campaign(id=2, name="Follow us")))
    attempt_id = desk.accepted()
    desk.world.clock.advance(1)

    hear(desk)
    desk.look()
    before = desk.world.state(attempt_id)
    desk.world.clock.advance(5)
    hear(desk, is_proof=True)
    desk.look()

    assert (before, desk.world.state(attempt_id)) == (State.ACCEPTED, State.GRANTED)
    assert desk.grant(attempt_id).proof == "push"
