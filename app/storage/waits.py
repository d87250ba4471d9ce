"""How long do we wait for PostgreSQL, and how do we notice that it went away?"""

import select
import time
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError, DisconnectionError

# A platform gives up after 10 seconds or so, and calls again only if it got no 2xx and no 4xx.
# Longer than the server's own limits: a statement that is merely slow is ended by the server.
PATIENCE_SECONDS = 8.0
_BREATHER_SECONDS = 1.0
_NO_ANSWER = "the server does not answer"


def bound_waits(engine: Engine, seconds: float = PATIENCE_SECONDS) -> None:
    """Let nobody wait longer for a server that is there and does not answer.

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

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
        return ImpatientConnection.connect(*arguments, **options)


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


class Breather:
    """A moment in which a server that did not answer is not asked again.

    Else everybody who waits behind those that found out would wait as long as they did.
    """

    def __init__(self) -> None:
        self._until = 0.0

    @property
    def is_on(self) -> bool:
        return time.monotonic() < self._until

    def note(self, error: Exception) -> None:
        if isinstance(error, DBAPIError) and _is_silence(str(error.orig)):
            self._until = time.monotonic() + _BREATHER_SECONDS


def _is_silence(text: str) -> bool:
    return _NO_ANSWER in text or "timeout expired" in text or "connection timeout" in text
