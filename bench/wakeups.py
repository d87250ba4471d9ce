"""How soon does a callback reach Gameball, and what does a service cost that has nothing to do?

`python -m bench.wakeups` measures over SQLite; `--database postgresql://…` over PostgreSQL. A
callback of a linked account is sent every now and then; the time runs from the first byte of it
until the submission's first byte arrives at Gameball's socket.
"""

import argparse
import json
import random
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.intake import fresh_database, intake_requests, served
from bench.load import measure
from bench.processes import family, processor_seconds, resident_mb

# How many callbacks over how many connections, to see what memory they leave behind.
MANY, CONNECTIONS = 1_500, 32
_ANSWER = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_NOTHING = _ANSWER.replace(b"202 Accepted", b"404 Not Found")


@dataclass
class Gameball:
    """A socket that takes every submission, and when the first byte of each arrived."""

    arrived_at: list[float] = field(default_factory=list)
    port: int = 0

    @contextmanager
    def listening(self) -> Iterator["Gameball"]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
            threading.Thread(target=self._accept, args=(server,), daemon=True).start()
            yield self

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            while received := connection.recv(65_536):
                if not received.startswith(b"POST"):  # it looks whether rewards were granted
                    connection.sendall(_NOTHING)
                    continue
                self.arrived_at.append(time.perf_counter())
                while b"}" not in received:
                    received += connection.recv(65_536)
                connection.sendall(_ANSWER)


def latencies(port: int, gameball: Gameball, count: int, pause_seconds: float) -> list[float]:
    """Milliseconds from a callback's first byte to its submission's, one callback at a time."""
    taken = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for request in intake_requests(count):
            time.sleep(random.uniform(0, 2 * pause_seconds))
            known = len(gameball.arrived_at)
            began = time.perf_counter()
            connection.sendall(request)
            connection.recv(65_536)
            while len(gameball.arrived_at) == known:
                time.sleep(0.000_2)
            taken.append(1000 * (gameball.arrived_at[known] - began))
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", default="", help="a PostgreSQL server's URL; else SQLite")
    parser.add_argument("--callbacks", type=int, default=300)
    parser.add_argument("--idle", type=float, default=30, help="seconds to watch it do nothing")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rounds = [_round(options) for _ in range(options.rounds)]
    for name in rounds[0]:
        values = sorted(one[name] for one in rounds)
        print(f"{name:24}{statistics.median(values):9.4g}  {values[0]:.4g} to {values[-1]:.4g}")
    print(json.dumps({"rounds": rounds}))


def _round(options: argparse.Namespace) -> dict[str, float]:
    """What one service needs from its start: first alone, then with one caller, then with many."""
    with (
        Gameball().listening() as gameball,
        fresh_database(options.database) as url,
        served("intake", url, gameball=f"http://127.0.0.1:{gameball.port}") as (pid, port),
    ):
        time.sleep(2)
        started = resident_mb(family(pid))
        latencies(port, gameball, 10, 0.02)
        taken = sorted(latencies(port, gameball, options.callbacks, 0.05))
        time.sleep(3)
        before = processor_seconds(family(pid))
        time.sleep(options.idle)
        idle = (processor_seconds(family(pid)) - before) / options.idle
        quiet = resident_mb(family(pid))
        measure("127.0.0.1", port, intake_requests(MANY), CONNECTIONS)
        told = {
            "p50 ms": statistics.median(taken),
            "p99 ms": taken[int(len(taken) * 0.99)],
            "idle, % of a core": 100 * idle,
            "processes": len(family(pid)),
            "MB after the start": started,
            f"MB after {options.callbacks + 10}": quiet,
            f"MB after {MANY} more": resident_mb(family(pid)),
        }
    return {name: round(value, 3) for name, value in told.items()}


if __name__ == "__main__":
    main()
