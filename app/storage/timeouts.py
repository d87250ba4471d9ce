"""Time-outs for PostgreSQL, and connections that are dropped after a failure."""

import math
import re
import select
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError, DisconnectionError

# A platform gives up after about 10 seconds, and calls again only if it got no 2xx and no 4xx. This
# is longer than the server's own limits, which end a slow statement.
PATIENCE_SECONDS = 8.0
_OPEN_SECONDS = 1.0
_NO_ANSWER = "the server does not answer"

# The server takes no writes: it was demoted, or never was the primary one.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
READ_ONLY = "25006"
# The server stops, crashed or starts, our database was dropped, or an idle session was ended.
_ENDING = frozenset({"57P01", "57P02", "57P03", "57P04", "57P05"})
# A standby reports some errors under other codes.
_STANDBY = re.compile(r"in a read-only transaction|(during|while) recovery|recovery is in progress")
_SESSIONS = "vouch_sessions"


def bound_waits(engine: Engine, seconds: float = PATIENCE_SECONDS) -> None:
    """Bound the wait for a server that accepts connections but does not answer."""
    kind = impatient(seconds)

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
        return kind.connect(*arguments, **options)


def impatient(seconds: float) -> Any:
    """Return a connection class of the driver that waits at most ``seconds`` for any answer.

    A frozen machine keeps its connections, so no time-out of the kernel or of the server ends the
    wait. The connection is closed; whether a commit succeeded is then unknown.
    """
    from psycopg import Connection, OperationalError
    from psycopg.errors import _WaitTimeout

    class ImpatientConnection(Connection[Any]):
        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            try:
                return super().wait(gen, interval, seconds if timeout is None else timeout)
            except _WaitTimeout:
                if timeout is not None:
                    raise
                self.pgconn.finish()
                raise OperationalError(_NO_ANSWER) from None

    return ImpatientConnection


def drop_closed(engine: Engine) -> None:
    """Skip pooled connections that the server closed, for example by a restart.

    A closed connection has data to read, so no round trip is needed.
    """

    @event.listens_for(engine, "checkout")
    def look(connection: Any, _record: Any, _proxy: Any) -> None:
        waiting = select.poll()
        waiting.register(connection.fileno(), select.POLLIN)
        if waiting.poll(0):
            raise DisconnectionError("the server closed this connection")


class Sessions:
    """Which of an engine's connections may still be used.

    When one connection meets a server that has become a standby, all older ones have too.
    """

    def __init__(self) -> None:
        self._good_since = -math.inf

    def opened(self, info: dict[Any, Any]) -> None:
        info[_SESSIONS] = self, time.monotonic()

    def give_up(self, opened_at: float) -> None:
        """Drop the connection opened at this time and all older ones."""
        if opened_at > self._good_since:
            self._good_since = time.monotonic()

    def is_given_up(self, opened_at: float) -> bool:
        return opened_at <= self._good_since


def give_up_refusing(engine: Engine, *, is_pooled: bool = False) -> None:
    """Drop every pooled connection when the server takes no writes on one, or stops.

    ``is_pooled``: a pooler keeps the server's session when we close ours, and would give it to our
    next connection. So we end the session at the server.
    """
    sessions = Sessions()

    @event.listens_for(engine, "connect")
    def opened(_connection: Any, record: Any) -> None:
        sessions.opened(record.info)
        record.info["vouch_is_pooled"] = is_pooled

    @event.listens_for(engine, "checkout")
    def look(_connection: Any, record: Any, _proxy: Any) -> None:
        _, opened_at = record.info[_SESSIONS]
        if sessions.is_given_up(opened_at):
            raise DisconnectionError("the server refused writes on a connection of this age")

    @event.listens_for(engine, "handle_error")
    def handle(context: Any) -> None:
        if context.connection is None or not is_refusal(context.original_exception):
            return
        give_up(context.connection, context.original_exception)
        context.is_disconnect = True


def give_up(connection: Connection, error: Exception) -> None:
    """Drop this connection and all older ones of the same engine."""
    if connection.invalidated:
        return
    sessions, opened_at = connection.info[_SESSIONS]
    sessions.give_up(opened_at)
    raw: Any = connection.connection.driver_connection
    if connection.info["vouch_is_pooled"] and not raw.closed:
        _end_at_the_server(raw)
    connection.invalidate(error)


def _end_at_the_server(raw: Any) -> None:
    import psycopg

    with suppress(psycopg.Error):
        raw.rollback()
        raw.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def is_refusal(error: BaseException | None) -> bool:
    """Whether the driver's error means that the connection is no longer usable."""
    sqlstate = getattr(error, "sqlstate", None)
    if sqlstate is None:
        return False
    return sqlstate == READ_ONLY or sqlstate in _ENDING or bool(_STANDBY.search(str(error)))


def is_read_only(error: Exception) -> bool:
    """Whether a transaction failed only because the server is read-only: nothing was written."""
    original = getattr(error, "orig", None)
    return is_refusal(original) and getattr(original, "sqlstate", None) not in _ENDING


def is_silence(error: Exception) -> bool:
    """Whether the server, or the network to it, did not answer in time."""
    text = str(error.orig) if isinstance(error, DBAPIError) else ""
    return _NO_ANSWER in text or "timeout expired" in text or "connection timeout" in text


class CircuitBreaker:
    """Stops calls to a server for a moment after a failure.

    Otherwise every waiting caller would wait as long as the first.
    """

    def __init__(self, is_cause: Callable[[Exception], bool]) -> None:
        self._is_cause = is_cause
        self._until = 0.0

    @property
    def is_open(self) -> bool:
        return time.monotonic() < self._until

    def note(self, error: Exception) -> None:
        if self._is_cause(error):
            self._until = time.monotonic() + _OPEN_SECONDS

    def end(self) -> None:
        """Close the breaker: the server is known to work again."""
        self._until = 0.0
