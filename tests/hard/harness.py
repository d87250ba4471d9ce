"""How is one installation of Vouch run for real, and ended whatever happens?"""

import contextlib
import http.client
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import Any

from tests.hard.history import KEYS

ROOT = Path(__file__).parents[2]
TWITCH_SECRET = "hard-secret-0123456789"
CHALLENGE = 7

# Short time-outs, so that the lease of a killed worker is short; no pace to wait for.
QUICK: Mapping[str, object] = {
    "connect_timeout": 0.5,
    "read_timeout": 0.5,
    "per_second": 2_000,
    "per_30_seconds": 60_000,
    "window_at_least": 55,
    "window_at_most": 65,
    "retry_delays": [0.2] * 40,
    "jitter": 0.1,
    "probe_every": 0.5,
}
# Whether what is accepted was granted too is the matter of tests of its own.
LATER = """[confirmation]
delays = ["1h"]
"""


def configuration(
    *,
    repeat: str = "once",
    rules: str = "",
    worker: Mapping[str, object] = {},
    confirmation: str = LATER,
    **gameball: object,
) -> str:
    """A configuration of one source and one rule; ``gameball`` changes what `QUICK` says."""
    return f"""
[[sources]]
name = "twitch"
platform = "twitch"
secrets = ["env:TWITCH_SECRET"]

[[rules]]
challenge_id = {CHALLENGE}
source = "twitch"
action = "follow"
repeat = "{repeat}"
{rules}
[gameball]
{_table({**QUICK, **gameball})}
[worker]
{_table({"poll_every": 0.1, **worker})}
{confirmation}"""


def _table(values: Mapping[str, object]) -> str:
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


def wait_until(is_so: Callable[[], object], within: float, what: str) -> float:
    """Wait for something, and tell how many seconds it took; fail the test when it takes longer."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > within:
            raise TimeoutError(f"{what}: not within {within:g} s")
        time.sleep(0.02)
    return time.monotonic() - began


def wait_while_it_falls(left: Callable[[], int], what: str, patience: float = 90) -> float:
    """Wait until nothing is left, as long as it becomes less; how many seconds that took.

    How fast it falls is the machine's matter: only if it does not fall at all, something is wrong.
    The last ones may wait for Gameball's window to end (`QUICK`) before they are sent again.
    """
    began = fell = time.monotonic()
    least = left()
    while least:
        time.sleep(0.02)
        now = left()
        if now < least:
            least, fell = now, time.monotonic()
        elif time.monotonic() - fell > patience:
            raise TimeoutError(f"{what}: {now} are left, and for {patience:g} s none was done")
    return time.monotonic() - began


def free_port() -> int:
    """A port for a service that starts in a moment, and that nobody is given by chance meanwhile.

    Those that the kernel hands out begin at 32768: one of them would soon be somebody's again.
    """
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Process:
    """One `vouch` command and the processes below it: a group of its own, ended as a whole."""

    def __init__(
        self,
        arguments: list[str],
        environment: Mapping[str, str],
        log: Path,
        module: str = "app",
        tree: Path = ROOT,
    ) -> None:
        self._log = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=tree,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def is_running(self) -> bool:
        return self._popen.poll() is None

    def wait_ready(self, within: float = 60) -> float:
        """Wait until it does what it is for; the seconds that took. Raises when it ends instead."""

        def is_ready() -> bool:
            if not self.is_running:
                raise ChildProcessError(self._log.read_text("utf-8", "replace")[-4_000:])
            return self.is_ready

        return wait_until(is_ready, within, "ready")

    @property
    def is_ready(self) -> bool:
        return b"worker.started" in self._log.read_bytes()

    def children(self) -> list[int]:
        """The processes that this one forked: gunicorn's web processes."""
        path = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def tell(self, number: Signals) -> None:
        """To the command alone, as an operator would."""
        os.kill(self.pid, number)

    def tell_all(self, number: Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def kill(self) -> None:
        """`kill -9` of the whole group; harmless twice."""
        self.tell_all(SIGKILL)
        self._popen.wait(10)

    def stop(self, within: float = 30) -> float:
        """End it as an operator would; how many seconds that took."""
        began = time.monotonic()
        self.tell(SIGTERM)
        self._popen.wait(within)
        return time.monotonic() - began


class Web(Process):
    """`vouch serve` on a port of its own."""

    def __init__(self, port: int, *arguments: Any) -> None:
        self.port = port
        super().__init__(*arguments)

    @property
    def is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/webhooks/nobody")
            return connection.getresponse().status == 404
        except OSError:
            return False
        finally:
            connection.close()


@dataclass(kw_only=True)
class Installation:
    """A configuration, a database, a Gameball, and the processes that run on them."""

    folder: Path
    database_url: str
    gameball_url: str
    text: str = field(default_factory=configuration)
    variables: dict[str, str] = field(default_factory=dict)
    tree: Path = ROOT
    processes: list[Process] = field(default_factory=list)

    def configure(self, text: str) -> None:
        self.text = text
        (self.folder / "vouch.toml").write_text(text, "utf-8")

    def serve(
        self,
        *options: str,
        port: int | None = None,
        wait: bool = True,
        log: Path | None = None,
    ) -> Web:
        """Start `vouch serve`; unless told not to, wait until it answers."""
        port = port or free_port()
        arguments = ["serve", "--bind", f"127.0.0.1:{port}", *options]
        web = Web(port, arguments, self._environment(), log or self._new_log(), "app", self.tree)
        self.processes.append(web)
        if wait:
            web.wait_ready()
        return web

    def work(self, workers: int = 1, module: str = "app") -> list[Process]:
        """Start `vouch work` so many times, and wait until they all work."""
        started = []
        for _ in range(workers):
            started.append(
                Process(["work"], self._environment(), self._new_log(), module, self.tree)
            )
            self.processes.append(started[-1])
        for process in started:
            process.wait_ready()
        return started

    def end(self) -> None:
        for process in self.processes:
            process.kill()

    def _new_log(self) -> Path:
        return self.folder / f"process-{len(self.processes)}.log"

    def _environment(self) -> dict[str, str]:
        self.configure(self.text)
        return {
            "PATH": os.environ["PATH"],
            "TMPDIR": str(self.folder),
            "DATABASE_URL": self.database_url,
            "GAMEBALL_BASE_URL": self.gameball_url,
            "GAMEBALL_API_KEY": "sandbox-api-key",
            "GAMEBALL_SECRET_KEY": "sandbox-secret-key",
            "TWITCH_SECRET": TWITCH_SECRET,
            "VOUCH_CONFIG": str(self.folder / "vouch.toml"),
            "VOUCH_SECRET_KEYS": ",".join(KEYS),
            **self.variables,
        }
