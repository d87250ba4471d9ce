"""How soon after a grant is an attempt `granted`, told by Gameball's webhook and by polling alone?

`python -m bench.push` measures over SQLite; `--database postgresql://…` over PostgreSQL, with two
web processes. In one run, over one service with the default schedule of looks, the sandbox tells of
one campaign's grants and not of the other's.
"""

import argparse
import json
import os
import socket
import statistics
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select

from app.domain.attempts import State
from app.platforms import adapters
from app.platforms.kit.examples import templates
from app.sandbox.server import SandboxServer
from app.sandbox.settings import Push, SandboxSettings
from app.storage.database import Database
from app.storage.tables import AttemptRow
from bench.intake import SECRET_TEXT, fresh_database, served
from bench.load import http_request

PUSHED, POLLED = 1, 2
# The first look is 90 s after the acceptance, the next 240 s after that.
LONGEST_SECONDS = 420
AUTOMATION_SECRET = "sandbox-automation-secret"
ACTIONS = {PUSHED: "follow", POLLED: "subscribe"}
CONFIGURATION = """
[[sources]]
name = "bench"
platform = "twitch"
secrets = ["env:BENCH_SECRET"]

[[sources]]
name = "gameball"
platform = "gameball"
secrets = ["env:GAMEBALL_SECRET_KEY"]
automation_secrets = ["env:BENCH_AUTOMATION_SECRET"]
""" + "".join(
    f"""
[[rules]]
challenge_id = {challenge_id}
source = "bench"
action = "{action}"
"""
    for challenge_id, action in ACTIONS.items()
)


@dataclass(frozen=True, slots=True)
class Told:
    """Of one campaign: seconds from each grant to `granted`, and reads of Gameball per attempt."""

    seconds: Sequence[float]
    reads: float

    def shown(self) -> dict[str, float]:
        ordered = sorted(self.seconds)
        return {
            "granted": len(ordered),
            "p50 s": round(statistics.median(ordered), 3),
            "p99 s": round(ordered[int(len(ordered) * 0.99)], 3),
            "reads each": round(self.reads, 2),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", default="", help="a PostgreSQL server's URL; else SQLite")
    parser.add_argument("--attempts", type=int, default=100, help="of each campaign")
    parser.add_argument("--grant-delay", type=float, default=10, help="from the 202 to the grant")
    parser.add_argument("--grant-jitter", type=float, default=60)
    options = parser.parse_args()
    told = _run(options)
    print(f"{'PostgreSQL' if options.database else 'SQLite'}, {options.attempts} of each")
    for name, one in zip(("pushed", "polled"), told, strict=True):
        print(f"{name:8}{one.shown()}")
    print(json.dumps({"pushed": told[0].shown(), "polled": told[1].shown()}))


def _run(options: argparse.Namespace) -> tuple[Told, Told]:
    os.environ["BENCH_AUTOMATION_SECRET"] = AUTOMATION_SECRET
    settings = SandboxSettings(
        grant_delay_seconds=options.grant_delay,
        grant_jitter_seconds=options.grant_jitter,
        api_key="bench",
        secret_key="bench",
    )
    with (
        SandboxServer(settings) as sandbox,
        fresh_database(options.database) as url,
        served("intake", url, sandbox.url, CONFIGURATION) as (_, port),
    ):
        address = f"http://127.0.0.1:{port}/webhooks/gameball"
        push = Push(url=address, secret=AUTOMATION_SECRET, forms=("reward",), campaigns=(PUSHED,))
        sandbox.books.configure(push=push)
        for number in range(options.attempts):
            _send(port, str(number), PUSHED)
            _send(port, str(number + options.attempts), POLLED)
        database = Database(url)
        try:
            _wait(database, 2 * options.attempts)
            return _told(database, sandbox, PUSHED), _told(database, sandbox, POLLED)
        finally:
            database.close()


def _send(port: int, account: str, challenge_id: int) -> None:
    kind = adapters()["twitch"]
    adapter = kind(kind.config(name="bench", platform="twitch", secrets=(SECRET_TEXT,)))
    template = templates("twitch")[ACTIONS[challenge_id]]
    now = datetime.now(UTC)
    example = template.fill(actor=account, target="1", key=str(uuid.uuid4()), now=now)
    request = http_request(
        "/webhooks/bench", dict(adapter.sign(example, now).headers), example.body
    )
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request)
        assert b" 204 " in connection.recv(65_536)


def _wait(database: Database, attempts: int) -> None:
    """Until all that was sent is granted."""
    for _ in range(LONGEST_SECONDS):
        if len(_granted(database)) == attempts:
            return
        time.sleep(1)
    raise TimeoutError(f"{len(_granted(database))} of {attempts} were granted")


def _granted(database: Database) -> dict[tuple[str, int], datetime]:
    """When which customer's attempt at which challenge became `granted`."""
    statement = select(
        AttemptRow.customer_id, AttemptRow.challenge_id, AttemptRow.updated_at
    ).where(AttemptRow.state == State.GRANTED)
    with database.read() as connection:
        rows = connection.execute(statement).all()
    return {(str(row.customer_id), row.challenge_id): row.updated_at for row in rows}


def _told(database: Database, sandbox: SandboxServer, challenge_id: int) -> Told:
    known = {who: at for who, at in _granted(database).items() if who[1] == challenge_id}
    seconds = [
        known[grant.customer_id, challenge_id].timestamp() - grant.at
        for grant in sandbox.books.grants()
        if grant.challenge_id == challenge_id
    ]
    customers = {customer for customer, _ in known}
    calls = sandbox.books.calls(100_000)
    reads = sum(call.method == "GET" and call.customer_id in customers for call in calls)
    return Told(seconds, reads / len(known))


if __name__ == "__main__":
    main()
