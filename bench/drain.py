"""How much of the allowed pace does a backlog use, and what does each submission cost?

`python -m bench.drain --database postgresql://…`: so many attempts fall due at once,
several workers send them, and one of the workers may be killed half-way. The pace used is the least
time that the limits allow, of the time from the first call that reached Gameball's socket to the
last.
"""

import argparse
import json
import subprocess
import sys
import time
from functools import partial
from itertools import pairwise
from pathlib import Path

from sqlalchemy import Connection, create_engine, text

from app.domain.clock import utc_now
from app.domain.events import Event
from app.domain.rules import Rule
from app.service import build_database
from app.settings.environment import Environment, read_environment
from app.steps.intake import Arrival, receive
from bench.intake import GAMEBALL, environment_of, fresh_database, prepare
from bench.wakeups import Gameball, family, processor_seconds

RULES = (Rule(1, "twitch", "follow"),)


def owe(settings: Environment, attempts: int) -> None:
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
    database = build_database(settings)
    database.write(partial(_receive, arrivals))
    database.close()


def _receive(arrivals: list[Arrival], connection: Connection) -> None:
    receive(connection, arrivals)


def least_seconds(calls: int, per_second: int, per_30_seconds: int) -> float:
    """How long so many calls take at least, from the first to the last."""
    half_minutes, rest = divmod(calls - 1, per_30_seconds)
    return 30 * half_minutes + rest // per_second


def most_in(arrived_at: list[float], seconds: float) -> int:
    """The most calls that arrived in any window of so many seconds."""
    most = first = 0
    for last, at in enumerate(arrived_at):
        while at - arrived_at[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", required=True, help="a PostgreSQL server's URL")
    parser.add_argument("--attempts", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--per-second", type=int, default=100)
    parser.add_argument("--per-30-seconds", type=int, default=1_200)
    parser.add_argument("--kill", action="store_true", help="kill one worker half-way")
    options = parser.parse_args()
    with Gameball().listening() as gameball, fresh_database(options.database) as url:
        _drain(options, gameball, url)


def _drain(options: argparse.Namespace, gameball: Gameball, url: str) -> None:
    with environment_of(url) as environment:
        environment.update(GAMEBALL, GAMEBALL_BASE_URL=f"http://127.0.0.1:{gameball.port}")
        config = Path(environment["VOUCH_CONFIG"])
        config.write_text(
            f"[gameball]\nper_second = {options.per_second}\n"
            f"per_30_seconds = {options.per_30_seconds}\nread_timeout = 1\nconnect_timeout = 1\n"
        )
        prepare(environment, accounts=options.attempts)
        workers = [
            subprocess.Popen(
                [sys.executable, "-m", "app", "work"], env=environment, stderr=subprocess.DEVNULL
            )
            for _ in range(options.workers)
        ]
        try:
            _wait_for_workers(url, options.workers)
            owe(read_environment(environment), options.attempts)
            before = processor_seconds([pid for one in workers for pid in family(one.pid)])
            _wait(gameball, options.attempts // 2)
            if options.kill:
                workers.pop().kill()
            _wait(gameball, options.attempts)
            spent = processor_seconds([pid for one in workers for pid in family(one.pid)]) - before
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.wait(30)
    arrived_at = sorted(gameball.arrived_at)
    taken = arrived_at[-1] - arrived_at[0]
    least = least_seconds(len(arrived_at), options.per_second, options.per_30_seconds)
    told = {
        "calls": len(arrived_at),
        "seconds": taken,
        "pace used": least / taken,
        "most in 1 s": most_in(arrived_at, 1),
        "most in 30 s": most_in(arrived_at, 30),
        "longest silence": max(later - earlier for earlier, later in pairwise(arrived_at)),
        "processor ms per call": 1000 * spent / len(arrived_at),
    }
    print(json.dumps({name: round(value, 3) for name, value in told.items()}))


def _wait_for_workers(url: str, workers: int) -> None:
    """Until all of them listen; then a moment more, for the rest of their start."""
    engine = create_engine(url)
    listening = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
    )
    with engine.connect() as connection:
        while connection.execute(text(listening)).scalar_one() < workers:
            connection.rollback()
            time.sleep(0.1)
    engine.dispose()
    time.sleep(1)


def _wait(gameball: Gameball, calls: int, within: float = 600) -> None:
    give_up = time.monotonic() + within
    while len(gameball.arrived_at) < calls:
        if time.monotonic() > give_up:
            raise TimeoutError(f"{len(gameball.arrived_at)} of {calls} calls")
        time.sleep(0.02)


if __name__ == "__main__":
    main()
