"""A sandbox that goes by the test's clock, and workers that hand over to it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from app.gameball.client import GameballAccount, GameballClient
from app.sandbox.server import SandboxServer
from app.sandbox.settings import SandboxSettings
from app.storage.database import Database
from app.worker.forwarder import Forwarder
from tests.clock import Clock
from tests.keys import KEYS
from tests.steps.world import POLICY, World

READ_SECONDS = 0.5

# A lease in which one call has time to be given up, and a second to spare.
QUICK = replace(POLICY, lease_seconds=0.5 + READ_SECONDS + 1)

MakeForwarder = Callable[..., Forwarder]


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[SandboxServer]:
    settings = SandboxSettings(grant_delay_seconds=0)
    with SandboxServer(settings, now=lambda: clock.now().timestamp(), seed=1) as server:
        yield server


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, secret_keys=KEYS)
    yield database
    database.close()


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[Database]:
    database = Database(sqlite_url, secret_keys=KEYS)
    yield database
    database.close()


@pytest.fixture
def world(database: Database, clock: Clock) -> World:
    return World(database=database, clock=clock, policy=QUICK)


@pytest.fixture
def sqlite_world(sqlite: Database, clock: Clock) -> World:
    """For what no database has a say in."""
    return World(database=sqlite, clock=clock, policy=QUICK)


@pytest.fixture
def forwarder_of(sandbox: SandboxServer) -> Iterator[MakeForwarder]:
    """Make forwarders of a world; their clients are closed behind the test."""
    clients: list[GameballClient] = []

    def make(world: World, kind: type[Forwarder] = Forwarder, **changes: object) -> Forwarder:
        account = GameballAccount(
            base_url=sandbox.url,
            api_version="v4.1",
            api_key="sandbox-api-key",
            secret_key="sandbox-secret-key",
            connect_timeout=0.5,
            read_timeout=READ_SECONDS,
        )
        clients.append(GameballClient(account))
        values: dict[str, Any] = {
            "database": world.database,
            "client": clients[-1],
            "policy": world.policy,
            "worker": "w1",
            "now": world.clock.now,
        }
        return kind(**{**values, **changes})

    yield make
    for client in clients:
        client.close()
