"""Do callbacks wait for people who read the history?

`python -m bench.busy` measures over SQLite; `--database postgresql://…` over PostgreSQL. Each round
measures callbacks while nobody else asks, and then beside people who search a long history, count
it and export it, and beside exports that nobody reads. The medians of the rounds are printed, and
the medians of the ratios within a round.
"""

import argparse
import asyncio
import json
import multiprocessing
import socket
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event

from app.domain.clock import utc_now
from app.settings.environment import read_environment
from app.steps import keys
from app.steps.keys import Role
from app.storage.opening import build_database
from bench.history import build
from bench.intake import environment_of, fresh_database, intake_requests, served
from bench.load import answer_of

VIEWERS, UNREAD = 8, 34
# So many callers, each of whom calls so long after the answer to his last call.
SENDERS, PAUSE_SECONDS = 2, 0.02
SEARCHES = (
    "/v1/attempts?q=customer-00000{n}&limit=200",
    "/v1/attempts?state=granted&limit=200",
    "/v1/stats?per=day&from=2024-12-10",
    "/v1/attempts?customerId=customer-00000{n}123&limit=200",
)


@dataclass(frozen=True, slots=True)
class Figures:
    """How long callbacks took."""

    p50_ms: float
    p99_ms: float
    not_2xx: int


def main() -> None:
    options = _options()
    with fresh_database(options.database) as url:
        build(url, options.attempts)
        with served("intake", url) as (_, port):
            key = new_key(url)
            callbacks(port, 2)
            rounds = [_round(port, key, options) for _ in range(options.rounds)]
    _print(rounds, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", default="", help="a PostgreSQL server's URL; else SQLite")
    parser.add_argument("--attempts", type=int, default=100_000, help="how long the history is")
    parser.add_argument("--seconds", type=float, default=15, help="how long each is measured")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def new_key(url: str) -> str:
    """An API key that may read the history."""
    with environment_of(url) as environment:
        database = build_database(read_environment(environment))
        _, key = database.write(lambda c: keys.create(c, Role.VIEWER, "bench", utc_now()))
        database.close()
    return key


def _round(port: int, key: str, options: argparse.Namespace) -> dict[str, Figures]:
    idle = callbacks(port, options.seconds)
    with readers(port, key) as answers:
        time.sleep(2)
        busy = callbacks(port, options.seconds)
    print(f"viewers were answered {dict(answers)}", flush=True)
    return {"idle": idle, "busy": busy}


def callbacks(port: int, seconds: float) -> Figures:
    """Callbacks of new events for so long."""
    return asyncio.run(_callbacks(port, seconds))


async def _callbacks(port: int, seconds: float) -> Figures:
    requests = iter(intake_requests(int(SENDERS * seconds / PAUSE_SECONDS)))
    end, taken, bad = time.monotonic() + seconds, list[float](), 0

    async def send() -> None:
        nonlocal bad
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in requests:
            if time.monotonic() > end:
                break
            began = time.perf_counter()
            writer.write(request)
            status = await answer_of(reader)
            taken.append(1000 * (time.perf_counter() - began))
            bad += not 200 <= status < 300
            await asyncio.sleep(PAUSE_SECONDS)
        writer.close()

    await asyncio.gather(*(send() for _ in range(SENDERS)))
    taken.sort()
    return Figures(taken[len(taken) // 2], taken[int(len(taken) * 0.99)], bad)


@contextmanager
def readers(port: int, key: str) -> Iterator[Counter[int]]:
    """People who ask all the time, in a process of their own, and exports that nobody reads.

    At the end, how often the people were answered with which status.
    """
    is_over = multiprocessing.Event()
    told: SimpleQueue[Counter[int]] = multiprocessing.SimpleQueue()
    people = multiprocessing.Process(target=_ask, args=(port, key, is_over, told))
    answers: Counter[int] = Counter()
    with ExitStack() as unread:
        for _ in range(UNREAD):
            unread.enter_context(_unread_export(port, key))
        people.start()
        try:
            yield answers
        finally:
            is_over.set()
            answers.update(told.get())
            people.join()


def _unread_export(port: int, key: str) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    path = "/v1/attempts/export?format=ndjson"
    sock.sendall(
        f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
    )
    return sock


def _ask(port: int, key: str, is_over: Event, told: "SimpleQueue[Counter[int]]") -> None:
    told.put(asyncio.run(_asking(port, key, is_over)))


async def _asking(port: int, key: str, is_over: Event) -> Counter[int]:
    answers: Counter[int] = Counter()

    async def ask(number: int) -> None:
        turn = number
        while not is_over.is_set():
            path = SEARCHES[turn % len(SEARCHES)].format(n=number)
            turn += 1
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n"
            writer.write(head.encode())
            status = await answer_of(reader)
            answers[status] += 1
            writer.close()
            # Whoever is told to come again later does.
            await asyncio.sleep(0 if status == 200 else 0.5)

    await asyncio.gather(*(ask(number) for number in range(VIEWERS)))
    return answers


def _print(rounds: Sequence[dict[str, Figures]], options: argparse.Namespace) -> None:
    print(
        f"{'PostgreSQL' if options.database else 'SQLite'}, {options.attempts} attempts; "
        f"{VIEWERS} viewers, {UNREAD} unread exports; {len(rounds)} rounds of "
        f"{options.seconds:g} s each; medians"
    )
    print(f"{'':8}{'p50 ms':>10}{'p99 ms':>10}{'not 2xx':>10}")
    for name in ("idle", "busy"):
        p50, p99 = (
            statistics.median(getattr(one[name], f) for one in rounds) for f in ("p50_ms", "p99_ms")
        )
        print(f"{name:8}{p50:10.1f}{p99:10.1f}{sum(one[name].not_2xx for one in rounds):10}")
    for figure in ("p50_ms", "p99_ms"):
        ratio = statistics.median(
            getattr(one["busy"], figure) / getattr(one["idle"], figure) for one in rounds
        )
        print(f"busy / idle: {figure} x{ratio:.2f}")
    print(json.dumps({"rounds": [{n: asdict(f) for n, f in one.items()} for one in rounds]}))


if __name__ == "__main__":
    main()
