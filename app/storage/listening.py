"""Listen for notifications of PostgreSQL (LISTEN and NOTIFY)."""

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

# A trigger notifies this channel when an attempt's timer expires within moments.
DUE = "vouch_due"
# A step notifies this channel when accepted attempts should be looked up now.
LOOK = "vouch_look"
_LOOK_EVERY_SECONDS = 5.0
_CONNECT_AGAIN_SECONDS = 1.0


def notify(connection: Connection, channel: str) -> None:
    """Notify listeners when this transaction is committed. SQLite has no listeners."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_notify(channel, "")))


class Listener:
    """A thread that receives PostgreSQL's notifications and calls ``on_notice`` for each batch.

    Notifications are lost while the connection is down, so ``on_notice`` is also called after each
    new connection. ``is_listening`` says whether notifications arrive at the moment.
    """

    def __init__(self, url: str, channel: str, on_notice: Callable[[], None]) -> None:
        self.is_listening = False
        self._url = url
        self._channel = channel
        self._on_notice = on_notice
        self._stopping = threading.Event()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop listening. May be called twice."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._wake_writer.send(b".")
        if self._thread.ident is not None:
            self._thread.join()
        self._wake_reader.close()
        self._wake_writer.close()

    def _run(self) -> None:
        # psycopg is an optional dependency (the extra `postgres`).
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
            waiting.register(self._wake_reader, selectors.EVENT_READ)
            while not self._stopping.is_set():
                if not waiting.select(_LOOK_EVERY_SECONDS):
                    self._require_primary(connection)
                if list(connection.notifies(timeout=0)):
                    self._on_notice()

    def _require_primary(self, connection: Any) -> None:
        """Raise an error unless the server answers and still takes writes."""
        [is_read_only] = connection.execute("SHOW transaction_read_only").fetchone()
        if is_read_only == "on":
            raise OSError("the server takes no writes, and will send no notifications")
