"""Runs the service as a child process of the demo."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import click

import app
from app.cli.clients import new_client
from app.outgoing.http import NoResponse
from app.platforms.kit.requests import Request

READY_WITHIN_SECONDS = 30.0
STOPS_WITHIN_SECONDS = 10.0
_POLL_SECONDS = 0.05
_LAST_LINES = 8


class ServiceProcess:
    """`vouch serve` as a child process on a loopback port, with its log in a file.

    As a context manager it waits until the service is ready, and stops it at the end.
    """

    def __init__(self, variables: Mapping[str, str], folder: Path, port: int = 0) -> None:
        self.port = _free_port(port)
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "service.log"
        self._variables = {**variables, **_import_paths()}
        self._folder = folder
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        command = [sys.executable, "-m", "app", "serve", "--bind", f"127.0.0.1:{self.port}"]
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(  # noqa: S603 -- our own interpreter and arguments
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=self._variables,
                # Ctrl-C must reach only us. We stop the service ourselves, after the last response.
                start_new_session=True,
            )
        self._wait_until_ready()

    def stop(self) -> None:
        """Stop the service and its child processes. Does nothing if it never started."""
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(STOPS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()
        self._child = None

    def last_words(self) -> str:
        lines = self.log.read_text("utf-8", "replace").splitlines()[-_LAST_LINES:]
        return "\n".join(["Its log ends:", *lines])

    def _wait_until_ready(self) -> None:
        give_up = time.monotonic() + READY_WITHIN_SECONDS
        while not self._is_ready():
            if not self.is_running or time.monotonic() > give_up:
                raise click.ClickException(f"the service did not start. {self.last_words()}")
            time.sleep(_POLL_SECONDS)

    def _is_ready(self) -> bool:
        with contextlib.closing(new_client(self.url)) as client:
            try:
                request = Request(method="GET", url=f"{self.url}/readyz")
                return client.send(request, read_seconds=5).status == 200
            except NoResponse:
                return False

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def _free_port(wanted: int) -> int:
    """Return the port, or a free one for 0. Raises if it is taken.

    Otherwise we would mistake the process that has the port for our service.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            raise click.ClickException(f"the port {wanted} is taken") from None
        port: int = probe.getsockname()[1]
        return port


def _import_paths() -> dict[str, str]:
    """Return variables that make Python import this code, and nothing from the current folder."""
    paths = [str(Path(app.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONSAFEPATH": "1"}
