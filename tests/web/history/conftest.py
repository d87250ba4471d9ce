"""A service with a past: on both databases, with a clock of its own and a key for each role."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, create_engine, insert
from werkzeug.test import TestResponse

from app.domain.attempts import State
from app.domain.clock import new_id
from app.domain.evidence import Evidence
from app.platforms.kit.examples import templates
from app.service import Service
from app.settings.configuration import load_configuration
from app.settings.environment import Environment
from app.steps import keys, transitions
from app.steps.intake import new_attempt
from app.steps.keys import Role
from app.storage.database import Database
from app.storage.tables import AttemptRow
from tests.conftest import NewDatabase, empty
from tests.keys import KEYS
from tests.web.applications import app_over

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECRET = "a-secret-that-only-twitch-knows"
CONFIGURATION = """
[[sources]]
name = "twitch"
platform = "twitch"
secrets = ["env:TWITCH_SECRET"]

[[sources]]
name = "twitch-eu"
platform = "twitch"
secrets = ["env:TWITCH_SECRET"]

[[rules]]
challenge_id = 11664
source = "twitch"
action = "follow"
repeat = "every_event"
"""


@dataclass
class Clock:
    """A clock that moves when it is told to, and a millisecond with each look."""

    at: datetime = NOW

    def __call__(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at

    def advance(self, **span: float) -> None:
        self.at += timedelta(**span)


@dataclass
class Caller:
    """A client that speaks with one key."""

    client: FlaskClient
    key: str = field(default="", repr=False)

    def get(self, path: str, **query: Any) -> TestResponse:
        return self.client.get(path, query_string=query or None, headers=self.headers())

    def post(self, path: str, body: Any = None) -> TestResponse:
        return self.client.post(path, json=body, headers=self.headers())

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}


@dataclass
class Past:
    """Writes attempts into the history, in any state, without the steps that lead there."""

    service: Service

    def attempt(self, state: State = State.DUE, **columns: Any) -> str:
        """One attempt; its id. ``created_at`` decides where in the order of time it stands."""
        at = columns.pop("created_at", None) or self.service.now()
        row = new_attempt(
            self.service.database.vault,
            **{
                "id": new_id(at),
                "state": state,
                "challenge_id": 11664,
                "customer_id": "customer-1",
                "source": "twitch",
                "platform": "twitch",
                "action": "follow",
                "account_id": "account-1",
                "target": "1337",
                "evidence": Evidence.SIGNED,
                "occurrence": f"event:{uuid4().hex}",
                "hold_seconds": 0,
                "created_at": at,
                "updated_at": at,
                "next_at": at if state is State.DUE else None,
                **columns,
            },
        )
        self.service.database.write(lambda c: c.execute(insert(AttemptRow), row))
        entry = transitions.transition(row["id"], None, state, "made for a test", "test", at)
        self.service.database.write(lambda c: transitions.record_transitions(c, [entry]))
        return str(row["id"])

    def attempts(self, count: int, **columns: Any) -> list[str]:
        """Several, the newest first, as the history lists them."""
        return [self.attempt(**columns) for _ in range(count)][::-1]


@pytest.fixture(scope="session")
def shared_postgres(new_postgres: NewDatabase) -> Iterator[Engine]:
    with new_postgres() as url:
        engine = create_engine(url)
        yield engine
        engine.dispose()


@pytest.fixture
def postgres_url(shared_postgres: Engine) -> str:
    """One database for all of these tests: each empties it instead of making one."""
    with shared_postgres.begin() as connection:
        empty(connection)
    return shared_postgres.url.render_as_string(hide_password=False)


@pytest.fixture
def clock() -> Clock:
    return Clock()


MakeService = Callable[..., Service]


@pytest.fixture
def make_service(tmp_path: Path, clock: Clock) -> Iterator[MakeService]:
    """Make a service over any database, closed when the test is over."""
    made: list[Service] = []

    def make(database_url: str, **environment: Any) -> Service:
        path = tmp_path / "vouch.toml"
        path.write_text(CONFIGURATION)
        service = Service(
            environment=Environment(database_url=database_url, config_path=path, **environment),
            configuration=load_configuration(path, {"TWITCH_SECRET": SECRET}),
            database=Database(database_url, secret_keys=KEYS),
            secret_keys=("a key that signs claim tokens",),
            now=clock,
        )
        made.append(service)
        return service

    yield make
    for service in made:
        service.close()


@pytest.fixture
def service(make_service: MakeService, database_url: str) -> Service:
    return make_service(database_url, gameball_api_key="key", gameball_secret_key="secret")


@pytest.fixture
def client(service: Service) -> FlaskClient:
    return app_over(service).test_client()


@pytest.fixture
def call_as(service: Service, client: FlaskClient) -> Callable[[Role], Caller]:
    """A caller whose key has a role."""

    def make(role: Role) -> Caller:
        made = service.database.write(lambda c: keys.create(c, role, f"{role} of a test", NOW))
        return Caller(client, made[1])

    return make


@pytest.fixture
def viewer(call_as: Callable[[Role], Caller]) -> Caller:
    return call_as(Role.VIEWER)


@pytest.fixture
def operator(call_as: Callable[[Role], Caller]) -> Caller:
    return call_as(Role.OPERATOR)


@pytest.fixture
def past(service: Service) -> Past:
    return Past(service)


def follow(service: Service, actor: str, *, source: str = "twitch") -> tuple[bytes, dict[str, str]]:
    """A correctly signed follow: its body and headers."""
    now = service.now()
    example = templates("twitch")["follow"].fill(actor=actor, target="1337", key=actor, now=now)
    signed = service.configuration.sources[source].sign(example, now)
    return signed.body, dict(signed.headers)
