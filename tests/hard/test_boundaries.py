"""What if the other one comes exactly between these two transactions?"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, text, update

from app.domain.answers import Answer, Disposition, Outcome
from app.domain.attempts import State
from app.domain.clock import utc_now
from app.domain.retries import RetryPolicy
from app.settings.environment import embedded_secret_keys
from app.steps import forwarding
from app.steps.forwarding import ForwardingPolicy, StartedSubmission
from app.steps.rate_limit import RateLimit
from app.storage.database import Database
from app.storage.errors import StorageUnavailable
from app.storage.tables import AttemptRow, IdentityRow
from tests.hard.harness import CHALLENGE
from tests.hard.history import KEYS, History

pytestmark = [pytest.mark.hard, pytest.mark.timeout(60)]

LEASE_SECONDS = 6
POLICY = ForwardingPolicy(
    pace=RateLimit(per_second=30, per_30_seconds=360, probe_seconds=5),
    retries=RetryPolicy(
        schedules={"retry": [1, 1, 1], "echo": [900], "busy": [1], "missing_customer": [1]},
        window_at_least_seconds=55,
        window_at_most_seconds=65,
    ),
    lease_seconds=LEASE_SECONDS,
)


@dataclass(frozen=True, slots=True)
class Race:
    """Submissions that begin and end so many seconds after a moment of the test's own."""

    database: Database
    began_at: datetime

    def at(self, after: float) -> datetime:
        return self.began_at + timedelta(seconds=after)

    def start(self, attempt_id: str, after: float) -> StartedSubmission:
        now = self.at(after)
        made = self.database.write(lambda c: forwarding.start(c, attempt_id, "worker", POLICY, now))
        assert isinstance(made, StartedSubmission)
        return made

    def finish(
        self, made: StartedSubmission, outcome: Outcome, after: float, retry_after: float = 0
    ) -> Disposition | None:
        now, answer = (
            self.at(after),
            Answer(outcome=outcome, retry_after_seconds=retry_after or None),
        )
        decision = self.database.write(lambda c: forwarding.finish(c, made, answer, POLICY, now))
        return decision.then if decision else None

    def reclaim(self, after: float) -> int:
        now = self.at(after)
        return self.database.write(lambda c: forwarding.reclaim(c, POLICY, now, 100))


@pytest.fixture
def race(database_url: str) -> Iterator[Race]:
    """After all that the test itself makes, however long the tests before it took."""
    opened = Database(database_url, secret_keys=KEYS)
    yield Race(opened, utc_now() + timedelta(minutes=1))
    opened.close()


def test_an_acceptance_that_comes_late_is_not_forgotten_when_the_next_call_fails(
    race: Race, history: History
) -> None:
    """Else the repeat after Gameball's window would pay a second time."""
    history.owe(1, [CHALLENGE])
    attempt = history.attempts()[0]

    frozen = race.start(attempt.id, after=0)
    assert race.reclaim(after=7) == 1
    second = race.start(attempt.id, after=8)
    assert race.finish(frozen, Outcome.ACCEPTED, after=9) is None
    then = race.finish(second, Outcome.NOT_SENT, after=10)

    assert then is Disposition.ACCEPT
    assert history.states() == {"accepted": 1}


def test_an_acceptance_that_comes_late_is_not_forgotten_when_the_next_worker_dies(
    race: Race, history: History
) -> None:
    history.owe(1, [CHALLENGE])
    attempt = history.attempts()[0]

    frozen = race.start(attempt.id, after=0)
    race.reclaim(after=7)
    race.start(attempt.id, after=8)
    race.finish(frozen, Outcome.ACCEPTED, after=9)
    assert race.reclaim(after=15) == 1

    assert history.states() == {"accepted": 1}


def test_a_late_acceptance_of_an_earlier_round_does_not_settle_a_replay(
    race: Race, history: History
) -> None:
    history.owe(1, [CHALLENGE])
    attempt = history.attempts()[0]
    race.finish(race.start(attempt.id, after=0), Outcome.ACCEPTED, after=1)
    replayed = {"state": State.DUE, "round": 1, "next_at": race.at(0)}
    race.database.write(lambda c: c.execute(update(AttemptRow).values(replayed)) and None)

    again = race.start(attempt.id, after=100)
    then = race.finish(again, Outcome.NOT_SENT, after=101)

    assert then is Disposition.RETRY


def test_refusals_of_calls_in_flight_together_slow_down_once_and_as_long_as_the_longest(
    race: Race, history: History
) -> None:
    history.owe(4, [CHALLENGE])
    first, second, third, fourth = (
        race.start(attempt.id, after=0) for attempt in history.attempts()
    )

    race.finish(first, Outcome.TOO_FAST, after=1, retry_after=20)
    race.finish(second, Outcome.TOO_FAST, after=1.1)
    race.finish(third, Outcome.TOO_FAST, after=1.2)
    race.finish(fourth, Outcome.ACCEPTED, after=1.3)

    row = history.forwarding()
    assert row.slow_until == race.at(21)
    assert row.slow_count == 1


def test_each_refusal_after_the_wait_slows_down_further_until_a_call_goes_well(
    race: Race, history: History
) -> None:
    history.owe(1, [CHALLENGE])
    attempt = history.attempts()[0]
    counts = []

    for after in (0, 10, 20):
        race.finish(race.start(attempt.id, after), Outcome.TOO_FAST, after + 1)
        counts.append(history.forwarding().slow_count)
    race.finish(race.start(attempt.id, after=60), Outcome.ACCEPTED, after=61)

    assert counts == [1, 2, 3]
    assert history.forwarding().slow_count == 0


def test_a_call_from_before_the_pause_does_not_end_it(race: Race, history: History) -> None:
    history.owe(3, [CHALLENGE])
    first, second, third = history.attempts()
    early = race.start(first.id, after=0)
    refused = race.start(second.id, after=0)

    race.finish(refused, Outcome.BLOCKED, after=1)
    race.finish(early, Outcome.ACCEPTED, after=2)
    while_paused = history.forwarding().paused_at
    race.finish(race.start(third.id, after=7), Outcome.ACCEPTED, after=8)

    assert while_paused == race.at(1)
    assert history.forwarding().paused_at is None


def test_what_shared_a_transaction_that_sqlite_gave_up_is_not_called_written(
    sqlite_url: str,
) -> None:
    """SQLite rolls back by itself when the disk is full; OR ROLLBACK makes it do so here."""
    database = Database(sqlite_url, secret_keys=KEYS)
    is_busy, go_on = threading.Event(), threading.Event()

    def keep_busy(_: Connection) -> None:
        is_busy.set()
        go_on.wait(10)

    def linking(account: str) -> None:
        now = utc_now()
        row = {"platform": "twitch", "account_id": account, "customer_id": "ann"}
        values = {**row, "created_at": now, "updated_at": now}
        database.write(lambda c: c.execute(insert(IdentityRow).values(values)) and None)

    def give_up(connection: Connection) -> None:
        row = "INSERT OR ROLLBACK INTO forwarding (id, slow_count) VALUES (1, 0)"
        connection.execute(text(row))

    with ThreadPoolExecutor(4) as pool:
        busy = pool.submit(database.write, keep_busy)
        is_busy.wait(10)
        before = pool.submit(linking, "before")
        culprit = pool.submit(database.write, give_up)
        after = pool.submit(linking, "after")
        go_on.set()
        busy.result(10)
        told = {job.exception(10) is None for job in (before, after)}
        problem = culprit.exception(10)

    with database.read() as connection:
        kept = set(connection.execute(select(IdentityRow.account_id)).scalars())
    linking("later")
    database.close()
    assert isinstance(problem, StorageUnavailable)
    assert told == {False}
    assert kept == set()


def test_processes_that_start_together_sign_claims_by_the_same_key(tmp_path: Path) -> None:
    for number in range(50):
        path = tmp_path / f"{number}" / "vouch.db"
        path.parent.mkdir()
        together = threading.Barrier(4)

        def keys(path: Path = path, together: threading.Barrier = together) -> tuple[str, ...]:
            together.wait(10)
            return embedded_secret_keys(path)

        with ThreadPoolExecutor(4) as pool:
            found = [job.result(10) for job in [pool.submit(keys) for _ in range(4)]]

        assert len(set(found)) == 1
        assert len(found[0]) == 1
        assert [file.name for file in path.parent.iterdir()] == ["secret_keys"]
