"""Does a scrape show how it goes?"""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert

from app.domain.answers import Answer, Outcome
from app.domain.attempts import State
from app.service import Service
from app.storage.tables import SubmissionRow
from app.web import create_app, metrics_collector
from tests.conftest import on_sqlite
from tests.web.history.conftest import NOW, Caller, Clock, Past, follow
from tests.web.history.test_health import forwarding
from tests.web.history.test_history import submit

Samples = dict[tuple[str, tuple[str, ...]], float]


@pytest.fixture
def anyone(service: Service) -> Caller:
    return Caller(create_app(service).test_client())


def scraped(anyone: Caller) -> Samples:
    """Every sample by its name and its labels' values."""
    answer = anyone.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_attempts_are_counted_in_every_state(anyone: Caller, past: Past) -> None:
    past.attempts(2, state=State.DEAD)
    past.attempt(State.UNLINKED)

    samples = scraped(anyone)

    counted = {state: samples["vouch_attempts", (state,)] for state in State}
    assert {state: n for state, n in counted.items() if n} == {State.DEAD: 2, State.UNLINKED: 1}
    assert samples["vouch_database_up", ()] == 1


def test_attempts_are_not_counted_again_for_every_scrape(
    anyone: Caller, past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scraped(anyone)
    past.attempt(State.DEAD)

    second = scraped(anyone)
    monkeypatch.setattr(metrics_collector, "KEPT_SECONDS", 0)
    third = scraped(anyone)

    key = ("vouch_attempts", ("dead",))
    assert (first[key], second[key], third[key]) == (0, 0, 1)


def test_the_longest_waits_are_shown(anyone: Caller, past: Past, clock: Clock) -> None:
    none = scraped(anyone)
    past.attempt(State.DUE, next_at=NOW)
    past.attempt(State.DUE, next_at=NOW + timedelta(minutes=9))
    past.attempt(State.UNLINKED, created_at=NOW - timedelta(hours=1))
    clock.advance(minutes=10)

    samples = scraped(anyone)

    assert none["vouch_oldest_due_seconds", ()] == 0
    assert none["vouch_oldest_unlinked_seconds", ()] == 0
    assert samples["vouch_oldest_due_seconds", ()] == pytest.approx(600, abs=1)
    assert samples["vouch_oldest_unlinked_seconds", ()] == pytest.approx(4_200, abs=1)


def test_what_is_due_later_does_not_wait_yet(anyone: Caller, past: Past) -> None:
    past.attempt(State.DUE, next_at=NOW + timedelta(hours=1))

    assert scraped(anyone)["vouch_oldest_due_seconds", ()] == 0


def test_the_pace_is_shown_beside_its_limits(service: Service, anyone: Caller, past: Past) -> None:
    attempt_id = past.attempt()
    ends = (None, NOW, NOW - timedelta(seconds=20), NOW - timedelta(seconds=40))
    common = {
        "attempt_id": attempt_id,
        "fence": 1,
        "round": 0,
        "worker": "w",
        "started_at": NOW - timedelta(minutes=1),
        "resolved": False,
    }
    rows = [{**common, "ended_at": end} for end in ends]
    service.database.write(lambda c: c.execute(insert(SubmissionRow), rows))

    samples = scraped(anyone)

    assert samples["vouch_submissions_in_window", ("1s",)] == 2
    assert samples["vouch_submissions_in_window", ("30s",)] == 3
    assert samples["vouch_submissions_window_limit", ("1s",)] == 30
    assert samples["vouch_submissions_window_limit", ("30s",)] == 360


def test_a_pause_and_a_slow_pace_are_shown(service: Service, anyone: Caller, past: Past) -> None:
    running = scraped(anyone)
    submit(service, past.attempt(), Answer(outcome=Outcome.TOO_FAST, status=429))
    slowed = scraped(anyone)
    forwarding(service, slow_until=None, paused_at=NOW)
    paused = scraped(anyone)

    names = ("vouch_forwarding_paused", "vouch_forwarding_slowed")
    assert [[s[name, ()] for name in names] for s in (running, slowed, paused)] == [
        [0, 0],
        [0, 1],
        [1, 0],
    ]
    assert ("vouch_worker_seen_timestamp_seconds", ()) not in running
    assert paused["vouch_worker_seen_timestamp_seconds", ()] == pytest.approx(
        NOW.timestamp(), abs=1
    )


def test_events_are_counted_by_source_and_outcome(service: Service, anyone: Caller) -> None:
    key = ("vouch_events_total", ("new", "twitch"))
    before = scraped(anyone).get(key, 0)
    body, headers = follow(service, "jane")

    answer = anyone.client.post("/webhooks/twitch", data=body, headers=headers)

    assert answer.status_code == 204
    assert scraped(anyone)[key] == before + 1


@on_sqlite
@pytest.mark.parametrize("accept", ["application/openmetrics-text; version=junk", "\x7f", "*/*"])
def test_no_accept_header_makes_a_fault(anyone: Caller, accept: str) -> None:
    assert anyone.client.get("/metrics", headers={"Accept": accept}).status_code == 200


SEVERAL_PROCESSES = """
import os
from app.metrics import EVENTS
child = os.fork()
EVENTS.labels("twitch", "new").inc()
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
from pathlib import Path
from app.service import build_service
from app.settings.environment import read_environment
from app.web import create_app
print(create_app(build_service(read_environment())).test_client().get("/metrics").text)
"""


def test_several_processes_are_counted_together(sqlite_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()
    (tmp_path / "vouch.toml").touch()
    variables = {
        "PROMETHEUS_MULTIPROC_DIR": str(folder),
        "DATABASE_URL": sqlite_url,
        "VOUCH_CONFIG": str(tmp_path / "vouch.toml"),
    }

    ended = subprocess.run(
        [sys.executable, "-c", SEVERAL_PROCESSES],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert 'vouch_events_total{outcome="new",source="twitch"} 2.0' in ended.stdout
    assert "vouch_database_up 1.0" in ended.stdout
