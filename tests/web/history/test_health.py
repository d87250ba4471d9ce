"""Is what we tell those who watch true, and does it tell no more?"""

import re
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update

from app.domain.attempts import State
from app.service import Service
from app.steps import health
from app.steps.health import say_alive
from app.storage.tables import ForwardingRow
from app.web import create_app
from tests.conftest import on_sqlite
from tests.storage.test_writability import refusing
from tests.web.history.conftest import NOW, Caller, Clock, MakeService, Past
from tests.web.history.test_attempts import problem

MINUTE = timedelta(minutes=1)
PERSONAL = ("customer-1", "account-1", "jane@example.com", "+20100")


@pytest.fixture
def anyone(service: Service) -> Caller:
    return Caller(create_app(service).test_client())


def forwarding(service: Service, **values: Any) -> None:
    service.database.write(lambda c: c.execute(update(ForwardingRow).values(**values)))


def forwarder(anyone: Caller) -> dict[str, Any]:
    answer = anyone.get("/readyz")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json["forwarder"]  # type: ignore[index]
    return told


@on_sqlite
@pytest.mark.parametrize("path", ["/healthz/", "/readyz/", "/metrics/"])
def test_what_needs_no_key_is_served_under_no_other_spelling(anyone: Caller, path: str) -> None:
    """A proxy that refuses a path from outside may not know that another one means the same."""
    assert anyone.get(path).status_code == 404


def test_a_process_that_answers_is_alive(anyone: Caller) -> None:
    answer = anyone.get("/healthz")

    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_a_service_with_its_database_is_ready(anyone: Caller) -> None:
    answer = anyone.get("/readyz")

    assert answer.json == {
        "status": "ready",
        "database": "ok",
        "rules": 1,
        "sources": 2,
        "forwarder": {"state": "running", "reason": None, "workerSeenAt": None},
        "worker": {"state": "not_seen", "aliveAt": None},
    }


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_those_who_watch_are_told_of_nobody(anyone: Caller, past: Past, path: str) -> None:
    past.attempt(State.DUE, email="jane@example.com", mobile="+20100")
    forwarding(
        past.service,
        paused_at=NOW,
        pause_reason="blocked 401 1000 customer-1 is jane@example.com",
    )

    answer = anyone.get(path)

    assert answer.status_code == 200
    assert not [word for word in PERSONAL if word in answer.text]


def test_a_paused_forwarder_is_still_ready_and_tells_why(service: Service, anyone: Caller) -> None:
    forwarding(service, paused_at=NOW, pause_reason="blocked 401 1000 Invalid API key")

    assert forwarder(anyone) == {
        "state": "paused",
        "reason": "blocked 401 1000",
        "workerSeenAt": None,
    }


def test_a_worker_that_leaves_due_attempts_lie_is_silent(
    service: Service, anyone: Caller, past: Past, clock: Clock
) -> None:
    past.attempt(State.DUE)
    forwarding(service, worker_seen_at=NOW)

    fresh = forwarder(anyone)
    clock.advance(minutes=2)
    late = forwarder(anyone)

    assert (fresh["state"], late["state"]) == ("running", "silent")
    assert late["workerSeenAt"] == "2026-11-23T12:00:00.000000Z"
    assert late["reason"]


def test_a_worker_with_nothing_to_do_is_not_silent(
    service: Service, anyone: Caller, clock: Clock
) -> None:
    forwarding(service, worker_seen_at=NOW)
    clock.advance(days=7)

    assert forwarder(anyone)["state"] == "running"


def test_a_forwarder_without_credentials_says_so(
    make_service: MakeService, sqlite_url: str
) -> None:
    service = make_service(sqlite_url)
    anyone = Caller(create_app(service).test_client())

    nobody = forwarder(anyone)
    forwarding(service, worker_seen_at=NOW)
    elsewhere = forwarder(anyone)

    assert nobody["state"] == "not_configured"
    assert "GAMEBALL_API_KEY" in nobody["reason"]
    assert elsewhere["state"] == "running"


def dead_urls(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "a-folder"
    folder.mkdir()
    (tmp_path / "no-database").write_bytes(b"not a database at all, not by any means" * 100)
    return {
        "folder": f"sqlite:///{folder}",
        "garbage": f"sqlite:///{tmp_path / 'no-database'}",
        "nobody-listens": "postgresql+psycopg://nobody@127.0.0.1:1/nothing",
    }


DEAD = ["folder", "garbage", "nobody-listens"]


@pytest.mark.parametrize("kind", DEAD)
def test_without_its_database_it_is_alive_and_not_ready(
    make_service: MakeService, tmp_path: Path, kind: str
) -> None:
    anyone = Caller(create_app(make_service(dead_urls(tmp_path)[kind])).test_client())

    assert anyone.get("/healthz").status_code == 200
    assert problem(anyone.get("/readyz")) == (503, "not-ready")


@pytest.mark.parametrize("kind", DEAD)
def test_metrics_survive_a_dead_database(
    make_service: MakeService, tmp_path: Path, kind: str
) -> None:
    anyone = Caller(create_app(make_service(dead_urls(tmp_path)[kind])).test_client())

    answer = anyone.get("/metrics")

    assert answer.status_code == 200
    assert "vouch_database_up 0.0" in answer.text
    assert "# TYPE vouch_events_total counter" in answer.text
    assert "vouch_attempts" not in answer.text


@pytest.mark.parametrize(
    "statement",
    ["UPDATE vouch_version SET version_num = '0001'", "DROP TABLE vouch_version"],
)
def test_a_database_of_another_version_is_not_ready(
    make_service: MakeService, sqlite_url: str, statement: str
) -> None:
    service = make_service(sqlite_url)
    service.database.write(lambda c: c.execute(text(statement)))

    answer = Caller(create_app(service).test_client()).get("/readyz")

    assert problem(answer) == (503, "not-ready")
    assert "vouch db upgrade" in answer.text


def test_an_empty_database_is_not_ready(make_service: MakeService, tmp_path: Path) -> None:
    service = make_service(f"sqlite:///{tmp_path / 'new.db'}")

    assert problem(Caller(create_app(service).test_client()).get("/readyz")) == (503, "not-ready")


def test_a_database_that_is_read_and_takes_no_writes_is_not_ready(
    anyone: Caller, service: Service
) -> None:
    with refusing(service.database.url):
        answer, metrics = anyone.get("/readyz"), anyone.get("/metrics").text
    time.sleep(2.1)
    again, well = anyone.get("/readyz"), anyone.get("/metrics").text

    assert problem(answer) == (503, "not-ready")
    assert answer.json["detail"] == "The database takes no writes."  # type: ignore[index]
    assert "vouch_database_up 0.0" in metrics
    assert "vouch_database_writable 0.0" in metrics
    assert "vouch_attempts{" in metrics
    assert again.status_code == 200
    assert "vouch_database_up 1.0" in well
    assert "vouch_database_writable 1.0" in well


def worker(anyone: Caller) -> str:
    answer = anyone.get("/readyz")
    assert answer.status_code == 200, answer.text
    state: str = answer.json["worker"]["state"]  # type: ignore[index]
    return state


def test_a_service_without_a_worker_inside_is_ready_whether_or_not_one_lives_elsewhere(
    anyone: Caller, service: Service
) -> None:
    before = worker(anyone)
    service.database.write(lambda c: say_alive(c, NOW - 6 * MINUTE))
    long_ago = worker(anyone)
    service.database.write(lambda c: say_alive(c, NOW - 4 * MINUTE))
    lately = worker(anyone)

    assert (before, long_ago, lately) == ("not_seen", "not_seen", "seen")
    seconds = (NOW - 4 * MINUTE).timestamp()
    assert f"vouch_worker_alive_timestamp_seconds {seconds!r}" in _plain(
        anyone.get("/metrics").text
    )


def _plain(metrics: str) -> str:
    """Large numbers are written with an exponent."""
    return re.sub(r"\S+e\+09", lambda found: repr(float(found[0])), metrics)


def test_a_service_whose_own_worker_died_is_not_ready(anyone: Caller, service: Service) -> None:
    service.is_worker_alive = lambda: True
    alive = worker(anyone)
    service.is_worker_alive = lambda: False
    dead = anyone.get("/readyz")

    assert alive == "inside"
    assert problem(dead) == (503, "not-ready")
    assert "worker" in dead.json["detail"]  # type: ignore[index]


def test_of_many_workers_one_says_now_and_then_that_it_lives(service: Service) -> None:
    def said_at() -> datetime | None:
        with service.database.read() as connection:
            return health.forwarding(connection).worker_alive_at

    for seconds in (0, 5, 19):
        service.database.write(
            lambda c, s=seconds: say_alive(c, NOW + timedelta(seconds=s))  # type: ignore[misc]
        )
    early = said_at()
    service.database.write(lambda c: say_alive(c, NOW + timedelta(seconds=30)))
    late = said_at()
    # A clock that was ahead is not believed for ever.
    service.database.write(lambda c: say_alive(c, NOW))

    assert (early, late, said_at()) == (NOW, NOW + timedelta(seconds=30), NOW)
