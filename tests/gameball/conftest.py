"""The sandbox on a real port, and clients that lose their patience quickly."""

from collections.abc import Callable, Iterator

import pytest

from app.gameball.client import GameballAccount, GameballClient
from app.sandbox.server import SandboxServer
from app.sandbox.settings import SandboxSettings

API_KEY, SECRET_KEY = "sandbox-api-key", "sandbox-secret-key"
# Long enough for a busy machine, short enough to wait for in a test.
CONNECT_SECONDS, READ_SECONDS = 1.0, 1.0

ClientOf = Callable[..., GameballClient]


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxSettings(grant_delay_seconds=0), seed=1) as server:
        yield server


@pytest.fixture
def client_of() -> Iterator[ClientOf]:
    """Make clients of any address; they are closed behind the test."""
    clients: list[GameballClient] = []

    def make(url: str, version: str = "v4.1", **changes: str) -> GameballClient:
        keys = {"api_key": API_KEY, "secret_key": SECRET_KEY, **changes}
        account = GameballAccount(
            base_url=url,
            api_version=version,
            **keys,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
        )
        clients.append(GameballClient(account))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(sandbox: SandboxServer, client_of: ClientOf) -> GameballClient:
    return client_of(sandbox.url)
