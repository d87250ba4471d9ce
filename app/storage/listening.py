"""What does the database call out to us?"""

import selectors
import socket
import threading
from collections.abc import Callable
from typing import Any

import structlog
from sqlalchemy import Connection, func, select

from app.storage.postgres import plain_session, settle_session
from app.storage.timeouts import PATIENCE_SECONDS

log = structlog.get_logger(__name__)

# The channel on which a trigger says that an attempt's clock strikes within moments.
DUE = "vouch_due"
# The channel on which a step says that accepted attempts are to be looked at now.
LOOK = "vouch_look"
_LOOK_EVERY_SECONDS = 5.0
_CONNECT_AGAIN_SECONDS = 1.0


def notify(connection: Connection, channel: str) -> None:
    """Let those who listen know once this transaction is committed; on SQLite nobody listens."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_notify(channel, "")))


class Listener:
    """A thread that hears PostgreSQL's notices and calls ``on_notice`` for each batch of them.

    A notice may be lost while the connection is: after each new connection ``on_notice`` is called
    as if there had been one. ``is_listening`` tells whether notices can be relied on right now.
    """

    def __init__(self, url: str, channel: str, on_notice: Callable[[], None]) -> None:
        self.is_listening = False
        self._url = url
        self._channel = channel
        self._on_notice = on_notice
        self._stopping = threading.Event()
        self._told, self._tell = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop hearing; harmless twice."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._tell.send(b".")
        if self._thread.ident is not None:
            self._thread.join()
        self._told.close()
        self._tell.close()

    def _run(self) -> None:
        # Here and not above: it is there only with the extra `postgres`.
        import psycopg

        while not self._stopping.is_set():
            try:
                with self._connect() as connection:
                    self._listen(connection)
            except (psycopg.Error, OSError) as error:
                log.warning("listener.lost", problem=type(error).__name__)
            finally:
                self.is_listening = False
            self._stopping.wait(_CONNECT_AGAIN_SECONDS)

    def _connect(self) -> Any:
        connection = plain_session(self._url, PATIENCE_SECONDS)
        settle_session(connection)
        return connection

    def _listen(self, connection: Any) -> None:
        connection.execute(f"LISTEN {self._channel}")
        self.is_listening = True
        self._on_notice()
        with selectors.DefaultSelector() as waiting:
            waiting.register(connection, selectors.EVENT_READ)
            waiting.register(self._told, selectors.EVENT_READ)
            while not self._stopping.is_set():
                if not waiting.select(_LOOK_EVERY_SECONDS):
                    self._require_primary(connection)
                if list(connection.notifies(timeout=0)):
                    self._on_notice()

    def _require_primary(self, connection: Any) -> None:
        """Is the server still there, and is it still the one that is written to?"""
        [is_read_only] = connection.execute("SHOW transaction_read_only").fetchone()
        if is_read_only == "on":
            raise OSError("the server takes no writes, and will send no notices")
