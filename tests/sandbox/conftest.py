"""A sandbox at a standing clock, a caller with the right keys, and a real server."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import requests
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.sandbox.books import Books
from app.sandbox.server import SandboxServer
from app.sandbox.settings import SandboxSettings
from app.sandbox.web import create_sandbox

KEYS = {"apikey": "sandbox-api-key", "secretkey": "sandbox-secret-key"}
API = "/api/v4.0/integrations"
SOCIAL = f"{API}/customers/social-challenges"


@dataclass
class Clock:
    """2026-01-01 00:00:00 UTC, a Thursday, until it is moved."""

    now: float = 1_767_225_600.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Caller:
    """Calls the sandbox in process; nothing goes over a wire."""

    client: FlaskClient
    pauses: list[float]
    keys: dict[str, str] = field(default_factory=lambda: dict(KEYS))

    def achieve(
        self, customer_id: object = "ann", challenge_id: object = 7, **more: object
    ) -> TestResponse:
        payload = {"customerId": customer_id, "challengeId": challenge_id, **more}
        return self.client.post(SOCIAL, json=payload, headers=self.keys)

    def post(self, path: str, payload: object) -> TestResponse:
        return self.client.post(f"{API}/{path}", json=payload, headers=self.keys)

    def get(self, path: str, **query: object) -> TestResponse:
        return self.client.get(f"{API}/{path}", query_string=query, headers=self.keys)

    def progress(
        self, customer_id: str = "ann", campaign_id: object = 7
    ) -> list[dict[str, object]]:
        path = f"customers/{customer_id}/reward-campaigns-progress"
        answer = self.get(path, campaignId=campaign_id)
        assert answer.status_code == 200
        rows = answer.get_json()
        assert isinstance(rows, list)
        return rows


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def books(clock: Clock) -> Books:
    return Books(now=clock, seed=1)


@pytest.fixture
def caller(books: Books) -> Caller:
    pauses: list[float] = []
    return Caller(create_sandbox(books, pause=pauses.append).test_client(), pauses)


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxSettings(grant_delay_seconds=0), seed=1) as server:
        yield server


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers.update(KEYS)
        yield session
