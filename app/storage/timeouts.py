"""How long do we wait for PostgreSQL, and when is a connection to it given up?"""

import math
import re
import select
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError, DisconnectionError

# A platform gives up after 10 seconds or so, and calls again only if it got no 2xx and no 4xx.
# Longer than the server's own limits: a statement that is merely slow is ended by the server.
PATIENCE_SECONDS = 8.0
_BREATHER_SECONDS = 1.0
_NO_ANSWER = "the server does not answer"

# The server lets nothing be written: it was demoted, or it never was the primary one.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
READ_ONLY = "25006"
# It stops, it crashed, it starts, our database was dropped, it ended an idle session.
_ENDING = frozenset({"57P01", "57P02", "57P03", "57P04", "57P05"})
# A standby says some things under other codes.
_STANDBY = re.compile(r"in a read-only transaction|(during|while) recovery|recovery is in progress")
_SESSIONS = "vouch_sessions"


def bound_waits(engine: Engine, seconds: float = PATIENCE_SECONDS) -> None:
    """Let nobody wait longer for a server that is there and does not answer."""
    kind = impatient(seconds)

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
        return kind.connect(*arguments, **options)


def impatient(seconds: float) -> Any:
    """The driver's connection, made to wait no longer than ``seconds`` for any answer.

    A frozen machine keeps its connections, so that no time-out of the kernel's or of the server's
    own ends the wait. The connection is given up; whether a commit was done is then not known.
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
    """Leave out pooled connections that the server closed, as when it was restarted.

    Without asking it, which would be a round trip for each transaction: who is closed, has
    something to read.
    """

    @event.listens_for(engine, "checkout")
    def look(connection: Any, _record: Any, _proxy: Any) -> None:
        waiting = select.poll()
        waiting.register(connection.fileno(), select.POLLIN)
        if waiting.poll(0):
            raise DisconnectionError("the server closed this connection")


class Sessions:
    """Which of an engine's connections are still to be used.

    Where one meets a server that has become another's standby, all that are as old have met it.
    """

    def __init__(self) -> None:
        self._good_since = -math.inf

    def opened(self, info: dict[Any, Any]) -> None:
        info[_SESSIONS] = self, time.monotonic()

    def give_up(self, opened_at: float) -> None:
        """Give up this one and all that are as old, not those that were opened since then."""
        if opened_at > self._good_since:
            self._good_since = time.monotonic()

    def is_given_up(self, opened_at: float) -> bool:
        return opened_at <= self._good_since


def give_up_refusing(engine: Engine, *, is_pooled: bool = False) -> None:
    """Give up every pooled connection when the server takes no writes on one, or stops.

    ``is_pooled``: a pooler keeps the server's session when we close ours, and would give it to the
    next of us: it is ended at the server.
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
            raise DisconnectionError("the server refused to write on a connection as old")

    @event.listens_for(engine, "handle_error")
    def handle(context: Any) -> None:
        if context.connection is None or not is_refusal(context.original_exception):
            return
        give_up(context.connection, context.original_exception)
        context.is_disconnect = True


def give_up(connection: Connection, error: Exception) -> None:
    """Use this connection no more, nor any of the same engine that is as old."""
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
    """Whether the driver's error means that the connection is good for nothing any more."""
    sqlstate = getattr(error, "sqlstate", None)
    if sqlstate is None:
        return False
    return sqlstate == READ_ONLY or sqlstate in _ENDING or bool(_STANDBY.search(str(error)))


def is_read_only(error: Exception) -> bool:
    """Whether a transaction failed for this alone: nothing of it was written, anywhere."""
    original = getattr(error, "orig", None)
    return is_refusal(original) and getattr(original, "sqlstate", None) not in _ENDING


def is_silence(error: Exception) -> bool:
    """Whether the server, or the way to it, did not answer in time."""
    said = str(error.orig) if isinstance(error, DBAPIError) else ""
    return _NO_ANSWER in said or "timeout expired" in said or "connection timeout" in said


class CircuitBreaker:
    """A moment in which the server is not asked again for what it just failed of.

    Else everybody who waits behind those that found out would wait as long as they did.
    """

    def __init__(self, is_cause: Callable[[Exception], bool]) -> None:
        self._is_cause = is_cause
        self._until = 0.0

    @property
    def is_on(self) -> bool:
        return time.monotonic() < self._until

    def note(self, error: Exception) -> None:
        if self._is_cause(error):
            self._until = time.monotonic() + _BREATHER_SECONDS

    def end(self) -> None:
        """It is known to be well again."""
        self._until = 0.0
