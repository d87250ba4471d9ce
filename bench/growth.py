"""What does an event cost when the history is long?

`python -m bench.growth` builds two installations, of 10 thousand and of `--size` attempts, and
measures both in turn: an event from its arrival to its commit, and a submission from its start to
its recorded end. Means and medians of each round; the ratios are large to small in one round.
Over PostgreSQL with `--database postgresql://…`, a server on which databases may be made.
"""

import argparse
import json
import platform
import random
import statistics
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import text

from app.domain.answers import Answer, Outcome
from app.domain.clock import utc_now
from app.domain.events import Event
from app.domain.retries import RetryPolicy
from app.domain.rules import Repeat, Rule
from app.settings.environment import read_environment
from app.steps import forwarding
from app.steps.forwarding import ForwardingPolicy, StartedSubmission
from app.steps.intake import Arrival, receive
from app.steps.rate_limit import RateLimit
from app.storage.database import Database
from app.storage.engines import write_engine
from bench.history import ATTEMPTS_OF_AN_ACCOUNT, PLATFORM, SOURCE, build
from bench.intake import fresh_database

SMALL = 10_000
RULE = Rule(
    challenge_id=1, platform=PLATFORM, action="follow", source=SOURCE, repeat=Repeat.EVERY_EVENT
)
POLICY = ForwardingPolicy(
    pace=RateLimit(1_000_000, 1_000_000, probe_seconds=30),
    retries=RetryPolicy(schedules={}, window_at_least_seconds=30, window_at_most_seconds=0),
    lease_seconds=30,
)

KEYS = ("a-key-of-the-bench",)

# Partial ones are of the few rows that are still open.
_INDEXES = text(
    "SELECT tbl_name, name FROM sqlite_master WHERE type = 'index'"
    " AND coalesce(sql, '') NOT LIKE '% WHERE %'"
)
_PREWARM = text(
    "SELECT sum(pg_prewarm(indexrelid)) FROM pg_index JOIN pg_class c ON c.oid = indrelid"
    " WHERE c.relnamespace = 'public'::regnamespace"
)
# The one table of which an event reads a row that may lie anywhere: its account's.
_IDENTITIES = {
    True: text("SELECT count(updated_at) FROM identities NOT INDEXED"),
    False: text("SELECT pg_prewarm('identities')"),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds for one event, or one submission, in one round."""

    mean: float
    median: float


@dataclass(slots=True)
class Installation:
    """A database of a known age, and what is asked of it."""

    database: Database
    attempts: int

    def events(self, count: int) -> Cost:
        arrivals = [self._arrival() for _ in range(count)]
        return _timed(lambda n: self.database.write_each(receive, [arrivals[n]]), count)

    def submissions(self, count: int) -> Cost:
        with self.database.read() as connection:
            due = forwarding.due_attempts(connection, utc_now(), count)
        return _timed(lambda n: self._submit(due[n].id), len(due))

    def _submit(self, attempt_id: str) -> None:
        made = self.database.write(
            lambda c: forwarding.start(c, attempt_id, "bench", POLICY, utc_now())
        )
        if isinstance(made, StartedSubmission):
            answer = Answer(outcome=Outcome.ACCEPTED, status=202)
            self.database.write(lambda c: forwarding.finish(c, made, answer, POLICY, utc_now()))

    def _arrival(self) -> Arrival:
        now = utc_now()
        event = Event(
            source=SOURCE,
            key=str(uuid.uuid4()),
            platform=PLATFORM,
            action="follow",
            actor=f"account-{random.randrange(self.attempts // ATTEMPTS_OF_AN_ACCOUNT):09}",
            occurred_at=now,
            received_at=now,
            payload=b'{"subscription": {"type": "channel.follow", "version": "2"}, "event": {}}',
            target="1337",
        )
        return Arrival(event, (RULE,), now + timedelta(days=30))

    def warm(self) -> None:
        """Read indexes and accounts: those of a database in use are in memory, where they fit."""
        # Not over the service's connections, which wait for nothing that takes so long.
        engine = write_engine(self.database.url)
        with engine.begin() as connection:
            if self.database.is_embedded:
                for table, index in connection.execute(_INDEXES).all():
                    connection.execute(text(f"SELECT count(*) FROM {table} INDEXED BY {index}"))
            else:
                connection.execute(text("SET LOCAL statement_timeout = 0"))
                connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_prewarm"))
                connection.execute(_PREWARM)
            connection.execute(_IDENTITIES[self.database.is_embedded])
        engine.dispose()

    def bytes(self) -> int:
        if self.database.is_embedded:
            return Path(self.database.url.removeprefix("sqlite:///")).stat().st_size
        with self.database.read() as connection:
            size: int = connection.execute(
                text("SELECT pg_database_size(current_database())")
            ).scalar_one()
        return size


def _timed(act: object, count: int) -> Cost:
    taken = []
    for number in range(count):
        began = time.perf_counter()
        act(number)  # type: ignore[operator]
        taken.append(1000 * (time.perf_counter() - began))
    return Cost(statistics.fmean(taken), statistics.median(taken))


def main() -> None:
    options = _options()
    with ExitStack() as stack:
        both = [_installation(stack, options.database, size) for size in (SMALL, options.size)]
        for one in both:
            one.warm()
            one.events(options.events)
            one.submissions(options.events)
        rounds = [_round(both, options.events) for _ in range(options.rounds)]
        _print(rounds, both, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", default="", help="a PostgreSQL server's URL; else SQLite")
    parser.add_argument("--size", type=int, default=10_000_000, help="attempts in the large one")
    parser.add_argument("--events", type=int, default=500, help="in each round")
    parser.add_argument("--rounds", type=int, default=7)
    return parser.parse_args()


def _installation(stack: ExitStack, server: str, size: int) -> Installation:
    url = read_environment({"DATABASE_URL": stack.enter_context(fresh_database(server))})
    began = time.perf_counter()
    build(url.database_url, size)
    made = Installation(Database(url.database_url, secret_keys=KEYS), size)
    stack.callback(made.database.close)
    taken = time.perf_counter() - began
    print(f"{size} attempts: {made.bytes() / 1e6:.0f} MB, made in {taken:.0f} s", flush=True)
    return made


def _round(both: Sequence[Installation], events: int) -> dict[str, list[Cost]]:
    """The small one and the large one, in small turns so that both meet the same disturbances."""
    turns = 10
    per_turn = max(1, events // turns)
    costs: dict[str, list[list[Cost]]] = {"event": [[], []], "submission": [[], []]}
    for _ in range(turns):
        for place, one in enumerate(both):
            costs["event"][place].append(one.events(per_turn))
            costs["submission"][place].append(one.submissions(per_turn))
    return {name: [_together(found) for found in sides] for name, sides in costs.items()}


def _together(costs: Sequence[Cost]) -> Cost:
    return Cost(
        statistics.fmean(cost.mean for cost in costs),
        statistics.median(cost.median for cost in costs),
    )


def _print(
    rounds: Sequence[dict[str, list[Cost]]],
    both: Sequence[Installation],
    options: argparse.Namespace,
) -> None:
    kind = "PostgreSQL" if options.database else "SQLite"
    print(f"{platform.system()}, {platform.machine()}, Python {platform.python_version()}, {kind}")
    print(f"{len(rounds)} rounds of {options.events}; medians of the rounds, ms")
    print(
        f"{'':12}{'figure':>8}" + "".join(f"{one.attempts:>14,}" for one in both) + f"{'ratio':>8}"
    )
    for name in ("event", "submission"):
        for figure in ("mean", "median"):
            sides = [[getattr(one[name][side], figure) for one in rounds] for side in (0, 1)]
            ratio = statistics.median(big / small for small, big in zip(*sides, strict=True))
            values = "".join(f"{statistics.median(side):14.2f}" for side in sides)
            print(f"{name:12}{figure:>8}{values}{ratio:8.2f}")
    told = [{n: [(c.mean, c.median) for c in s] for n, s in one.items()} for one in rounds]
    print(json.dumps({"rounds": told}))


if __name__ == "__main__":
    main()
