"""How much of the allowed pace does a backlog use, and what does each submission cost?

`python -m bench.drain`: so many attempts fall due at once, several workers send them, and one of
the workers may be killed half-way. Over SQLite; with `--database postgresql://…` over PostgreSQL.
What arrived when is read from the books of a sandbox Gameball that refuses whatever is beyond the
limits. The pace used is the least time in which the limits let so many calls arrive, of the time
from the first to the last.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

from sqlalchemy import Connection, and_, func, or_, select

from app.domain.attempts import State
from app.domain.clock import utc_now
from app.domain.events import Event
from app.domain.rules import Rule
from app.sandbox.books import Books
from app.sandbox.calls import SOCIAL_CHALLENGES
from app.sandbox.server import SandboxServer
from app.sandbox.settings import Limit, SandboxSettings
from app.settings.environment import Environment, read_environment
from app.steps.intake import Arrival, receive
from app.storage.database import Database
from app.storage.opening import build_database
from app.storage.tables import AttemptRow
from bench.intake import environment_of, fresh_database, prepare
from bench.processes import family, processor_seconds

RULES = (Rule(challenge_id=1, platform="twitch", action="follow"),)
_STARTED = b"worker.started"
# Longer than that is put off what a killed worker may or may not have sent, if nobody can know yet.
_SOON_SECONDS, _LATER_SECONDS = 60, 86_400


@dataclass(kw_only=True)
class Workers:
    """Some `vouch work`, and what processor time they have taken since all of them began."""

    environment: dict[str, str]
    folder: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    spent_by_killed: float = 0.0
    before: float = 0.0

    def start(self, count: int) -> None:
        logs = [self.folder / f"worker-{number}.log" for number in range(count)]
        for log in logs:
            with log.open("wb") as output:
                command = [sys.executable, "-m", "app", "work"]
                worker = subprocess.Popen(command, env=self.environment, stderr=output)
            self.running.append(worker)
        _wait(lambda: all(_STARTED in log.read_bytes() for log in logs), 60)
        time.sleep(1)  # for the rest of their start
        self.before = self._spent()

    def kill_one(self) -> None:
        killed = self.running.pop()
        self.spent_by_killed = processor_seconds(family(killed.pid))
        killed.kill()
        killed.wait()

    def stop(self) -> None:
        for worker in self.running:
            worker.terminate()
        for worker in self.running:
            worker.wait(30)

    @property
    def spent(self) -> float:
        return self._spent() + self.spent_by_killed - self.before

    def _spent(self) -> float:
        return processor_seconds([pid for one in self.running for pid in family(one.pid)])


def owe(database: Database, attempts: int) -> None:
    """Let so many linked customers each earn one award, all due now."""
    now = utc_now()
    arrivals = [
        Arrival(
            Event(
                source="bench",
                key=f"event-{number}",
                platform="twitch",
                action="follow",
                actor=str(number),
                occurred_at=now,
                received_at=now,
                payload=b"{}",
            ),
            RULES,
            now,
        )
        for number in range(attempts)
    ]
    database.write(partial(_receive, arrivals))


def _receive(arrivals: list[Arrival], connection: Connection) -> None:
    receive(connection, arrivals)


def waiting(database: Database, within_seconds: float) -> int:
    """How many attempts are still in a worker's hands, or to be sent within so many seconds."""
    until = utc_now() + timedelta(seconds=within_seconds)
    soon = and_(AttemptRow.state == State.DUE, AttemptRow.next_at < until)
    statement = select(func.count()).where(or_(AttemptRow.lease_until.is_not(None), soon))
    with database.read() as connection:
        return connection.execute(statement).scalar_one()


def least_seconds(calls: int, limit: Limit) -> float:
    """How long so many calls take at least, from the first to the last."""
    half_minutes, rest = divmod(calls - 1, limit.per_30_seconds)
    return 30 * half_minutes + rest // limit.per_second


def drain(options: argparse.Namespace) -> dict[str, float]:
    limit = Limit(options.per_second, options.per_30_seconds)
    sandbox = SandboxServer(SandboxSettings(limits={"customersPost": limit}))
    with sandbox, fresh_database(options.database) as url, environment_of(url) as environment:
        config = Path(environment["VOUCH_CONFIG"])
        config.write_text(
            f"[gameball]\nper_second = {limit.per_second}\n"
            f"per_30_seconds = {limit.per_30_seconds}\n"
        )
        environment.update(_account(sandbox))
        prepare(environment, accounts=options.attempts)
        workers = Workers(environment=environment, folder=config.parent)
        with _database(read_environment(environment)) as database:
            try:
                workers.start(options.workers)
                _send_all(options, database, sandbox.books, workers)
                figures = _figures(sandbox.books, limit, options.attempts, workers.spent)
                return {**figures, "put off": waiting(database, _LATER_SECONDS)}
            finally:
                workers.stop()


def _send_all(
    options: argparse.Namespace, database: Database, books: Books, workers: Workers
) -> None:
    owe(database, options.attempts)
    _wait(lambda: books.report().accepted >= options.attempts // 2)
    if options.kill:
        workers.kill_one()
    _wait(lambda: not waiting(database, _SOON_SECONDS))


@contextmanager
def _database(settings: Environment) -> Iterator[Database]:
    database = build_database(settings)
    try:
        yield database
    finally:
        database.close()


def _account(sandbox: SandboxServer) -> dict[str, str]:
    settings = sandbox.books.settings
    return {
        "GAMEBALL_BASE_URL": sandbox.url,
        "GAMEBALL_API_KEY": settings.api_key,
        "GAMEBALL_SECRET_KEY": settings.secret_key,
    }


def _figures(books: Books, limit: Limit, attempts: int, spent: float) -> dict[str, float]:
    report = books.report()
    calls = [one for one in books.calls(10 * attempts) if one.endpoint == SOCIAL_CHALLENGES]
    arrived_at = sorted(call.at for call in calls)
    taken = arrived_at[-1] - arrived_at[0]
    return {
        "calls": len(calls),
        "seconds": taken,
        "pace used": least_seconds(attempts, limit) / taken,
        "most in 1 s": report.max_per_second,
        "most in 30 s": report.max_30_seconds,
        "refused as too many": report.rate_limited,
        "most of a customer at once": report.concurrent_per_customer,
        "granted twice": sum(count > 1 for count in report.counts.values()),
        "longest silence": max(later - earlier for earlier, later in pairwise(arrived_at)),
        "processor ms per call": 1000 * spent / len(calls),
    }


def _wait(is_so: Callable[[], bool], within: float = 1_200) -> None:
    give_up = time.monotonic() + within
    while not is_so():
        if time.monotonic() > give_up:
            raise TimeoutError(f"not within {within:g} seconds")
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", default="", help="a PostgreSQL server's URL; else SQLite")
    parser.add_argument("--attempts", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--per-second", type=int, default=30)
    parser.add_argument("--per-30-seconds", type=int, default=360)
    parser.add_argument("--kill", action="store_true", help="kill one worker half-way")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    rounds = []
    for _ in range(options.rounds):
        rounds.append(drain(options))
        print(json.dumps(_rounded(rounds[-1])), flush=True)
    print(json.dumps({"medians": _rounded(_medians(rounds))}))


def _medians(rounds: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in figures.items()}


if __name__ == "__main__":
    main()
