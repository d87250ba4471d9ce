"""How fast is the complete intake, beside an empty answer and a bare route?

`python -m bench.intake` measures over SQLite; `--database postgresql://…` over PostgreSQL. Each
round measures the three one after the other on fresh databases; the medians and their ratios are
printed, and the processor time of each server for a request: of all figures the least disturbed
where others use the machine. `--slow-sync-ms 3` makes every sync of the disk take so much longer,
as in a cloud. `--with-webhook` also measures Debian's `webhook` (`apt install webhook`), which
keeps the body in a file and syncs nothing. `--against FOLDER` also measures another version, in a
checkout of its own.
"""

import argparse
import hashlib
import hmac
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, create_engine, make_url, text

from app.domain.clock import utc_now
from app.platforms import adapters
from app.platforms.kit.examples import templates
from app.settings.environment import read_environment
from app.steps.identities import Identity, link
from app.storage import migrate
from app.storage.opening import build_database
from bench.baselines import SECRET, webhook_command
from bench.load import Measured, http_request, measure
from bench.processes import family, processor_seconds, resident_mb
from bench.slow_disk import slowed_disk

ROOT = Path(__file__).parents[1]
ACCOUNTS = 200
SECRET_TEXT = "bench-secret-0123456789"
GAMEBALL = {"GAMEBALL_API_KEY": "bench", "GAMEBALL_SECRET_KEY": "bench"}
CONFIGURATION = """
[[sources]]
name = "bench"
platform = "twitch"
secrets = ["env:BENCH_SECRET"]

[[rules]]
challenge_id = 1
source = "bench"
action = "follow"
repeat = "every_event"

[gameball]
per_second = 2000
per_30_seconds = 60000
window_at_least = 0
window_at_most = 0.001
"""


def main() -> None:
    options = _options()
    with slowed_disk(options.slow_sync_ms):
        rounds = [_round(options) for _ in range(options.rounds)]
    _print(rounds, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", default="", help="a PostgreSQL server's URL; else SQLite")
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slow-sync-ms", type=float, default=0)
    parser.add_argument("--with-webhook", action="store_true")
    parser.add_argument("--against", type=Path, help="a checkout of another version")
    return parser.parse_args()


def _round(options: argparse.Namespace) -> dict[str, Measured]:
    measured = {}
    for name in _contenders(options):
        checkout = options.against if name == "before" else ROOT
        with (
            fresh_database(options.database) as url,
            served(name, url, checkout=checkout) as (pid, port),
        ):
            requests = REQUESTS.get(name, _bare_requests)(options.requests)
            measure("127.0.0.1", port, requests[: options.requests // 10], options.connections)
            rest = requests[options.requests // 10 :]
            before = processor_seconds(family(pid))
            found = measure("127.0.0.1", port, rest, options.connections)
            spent = processor_seconds(family(pid)) - before
            measured[name] = replace(
                found, cpu_ms=1000 * spent / len(rest), memory_mb=resident_mb(family(pid))
            )
    return measured


def _contenders(options: argparse.Namespace) -> list[str]:
    before = ["before"] if options.against else []
    return ["intake", *before, "bare", "empty", *(["webhook"] if options.with_webhook else [])]


@contextmanager
def fresh_database(server: str) -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="vouch-bench-"))
    name = f"bench_{uuid.uuid4().hex[:12]}"
    try:
        if not server:
            yield f"sqlite:///{folder}/bench.db"
            return
        admin = create_engine(
            server.replace("postgresql://", "postgresql+psycopg://"),
            isolation_level="AUTOCOMMIT",
        )
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        url = make_url(server).set(database=name, drivername="postgresql")
        yield url.render_as_string(hide_password=False)
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def served(
    name: str,
    url: str,
    gameball: str = "",
    configuration: str = CONFIGURATION,
    checkout: Path = ROOT,
) -> Iterator[tuple[int, int]]:
    """The server of one contender: the same gunicorn settings for all three. Its pid and port.

    ``gameball``: where to forward to; without it no worker runs inside.
    """
    port = _free_port()
    with environment_of(url, configuration) as environment:
        if name in ("intake", "before"):
            if gameball:
                environment.update(GAMEBALL, GAMEBALL_BASE_URL=gameball)
            environment["PYTHONPATH"] = str(checkout)
            _prepare_by(checkout, environment)
            command = [sys.executable, "-m", "app", "serve", "--bind"]
        else:
            command = _baseline(name, url)
        folder = Path(environment["VOUCH_CONFIG"]).parent
        address = [f"127.0.0.1:{port}"]
        if name == "webhook":
            command, address = webhook_command(folder), ["-port", str(port)]
        process = subprocess.Popen(
            [*command, *address],
            env=environment,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_for(port)
            yield process.pid, port
        finally:
            process.terminate()
            process.wait(20)


@contextmanager
def environment_of(url: str, configuration: str = CONFIGURATION) -> Iterator[dict[str, str]]:
    """What an installation over a database needs in its environment, in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="vouch-bench-"))
    (folder / "vouch.toml").write_text(configuration)
    try:
        yield {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": url,
            "BENCH_DATABASE_URL": url.replace("postgresql://", "postgresql+psycopg://"),
            "BENCH_SECRET": SECRET_TEXT,
            "VOUCH_CONFIG": str(folder / "vouch.toml"),
            "VOUCH_SECRET_KEYS": "bench-claim-key-0123456789",
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _baseline(name: str, url: str) -> list[str]:
    processes, threads = ("1", "32") if url.startswith("sqlite") else ("2", "16")
    command = [sys.executable, "-m", "gunicorn", f"bench.baselines:{name}()", "--preload"]
    command += ["--worker-class", "gthread", "--threads", threads, "--workers", processes]
    return [
        *command,
        *("--keep-alive", "30", "--no-control-socket", "--log-level", "error", "--bind"),
    ]


def prepare(environment: dict[str, str], accounts: int = ACCOUNTS) -> None:
    """Bring the database to our shape, with accounts linked, so that every event earns."""
    settings = read_environment(environment)
    migrate.upgrade(settings.database_url)
    database = build_database(settings)
    for number in range(accounts):
        identity = Identity(
            platform="twitch", account_id=str(number), customer_id=f"customer-{number}"
        )
        database.write(partial(_link, identity))
    database.close()


def _prepare_by(checkout: Path, environment: dict[str, str]) -> None:
    """As `prepare`, by the code of that checkout: its database is of its own shape."""
    code = "import os; from bench.intake import prepare; prepare(dict(os.environ))"
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=checkout, check=True)


def _link(identity: Identity, connection: Connection) -> None:
    link(connection, identity, "bench", utc_now())


def intake_requests(count: int) -> list[bytes]:
    kind = adapters()["twitch"]
    adapter = kind(kind.config(name="bench", platform="twitch", secrets=(SECRET_TEXT,)))
    template = templates("twitch")["follow"]
    now = datetime.now(UTC)
    requests = []
    for number in range(count):
        key = str(uuid.uuid4())
        # An account follows a channel anew at another time.
        at = now - timedelta(milliseconds=number)
        example = template.fill(actor=str(number % ACCOUNTS), target="1", key=key, now=at)
        headers = dict(adapter.sign(example, now).headers)
        requests.append(http_request("/webhooks/bench", headers, example.body))
    return requests


def _bare_requests(count: int) -> list[bytes]:
    """The same body, signed for the bare route."""
    template = templates("twitch")["follow"]
    example = template.fill(actor="1", target="1", key="k", now=datetime.now(UTC))
    requests = []
    for _ in range(count):
        key = str(uuid.uuid4())
        signature = hmac.new(SECRET, key.encode() + example.body, hashlib.sha256).hexdigest()
        headers = {"X-Id": key, "X-Signature": signature, "Content-Type": "application/json"}
        requests.append(http_request("/hook", headers, example.body))
    return requests


def _webhook_requests(count: int) -> list[bytes]:
    """The same body, signed as Debian's `webhook` checks it."""
    template = templates("twitch")["follow"]
    body = template.fill(actor="1", target="1", key="k", now=datetime.now(UTC)).body
    signature = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    headers = {"X-Signature": signature, "Content-Type": "application/json"}
    return [http_request("/hooks/hook", headers, body)] * count


REQUESTS = {
    "intake": intake_requests,
    "before": intake_requests,
    "webhook": _webhook_requests,
}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("the server did not start")


def _print(rounds: Sequence[dict[str, Measured]], options: argparse.Namespace) -> None:
    def median(name: str, figure: str) -> float:
        return float(statistics.median(getattr(one[name], figure) for one in rounds))

    machine = f"{platform.system()}, {platform.machine()}, {os.cpu_count()} cores"
    print(f"{machine}, Python {platform.python_version()}")
    print(
        f"{'PostgreSQL' if options.database else 'SQLite'}"
        f"{f', each sync {options.slow_sync_ms:g} ms longer' if options.slow_sync_ms else ''}; "
        f"{len(rounds)} rounds of "
        f"{options.requests} requests over {options.connections} connections; medians"
    )
    titles = ("p50 ms", "p99 ms", "not 2xx", "cpu ms", "MB")
    print(f"{'':8}{'requests/s':>12}{''.join(f'{title:>10}' for title in titles)}")
    for name in reversed(_contenders(options)):
        bad = sum(one[name].not_2xx for one in rounds)
        print(
            f"{name:8}{median(name, 'requests_per_second'):12.0f}{median(name, 'p50_ms'):10.1f}"
            f"{median(name, 'p99_ms'):10.1f}{bad:10}{median(name, 'cpu_ms'):10.3f}"
            f"{median(name, 'memory_mb'):10.0f}"
        )
    for other in _contenders(options)[1:]:
        rate, p99, cpu = (
            statistics.median(getattr(one["intake"], f) / getattr(one[other], f) for one in rounds)
            for f in ("requests_per_second", "p99_ms", "cpu_ms")
        )
        print(
            f"intake / {other}: requests/s x{rate:.2f}, p99 x{p99:.2f}, cpu x{cpu:.2f}"
            " (median of ratios)"
        )
    print(json.dumps({"rounds": [{n: vars_of(m) for n, m in one.items()} for one in rounds]}))


def vars_of(measured: Measured) -> dict[str, float]:
    return {name: round(getattr(measured, name), 2) for name in Measured.__slots__}


if __name__ == "__main__":
    main()
