"""Read transactions for people's queries, with a deadline and connections of their own."""

# SQLite queries are interrupted by us at the deadline; PostgreSQL cancels its queries itself.

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app.storage.engines import is_sqlite, read_engine
from app.storage.errors import TooSlow
from app.storage.failures import failure
from app.storage.timeouts import bound_waits, drop_closed
from app.storage.vault import Vault

POOL_SIZE = 8
# Steps of SQLite between two checks of the clock: about a millisecond.
_STEPS = 50_000
# PostgreSQL ends a query itself before we give up on PostgreSQL.
_MARGIN_SECONDS = 3.0
_QUERY_CANCELED = "57014"


class PeoplesReads:
    """Read transactions beside those of a `Database`, also opened at first use.

    ``deadline_seconds`` is called for each read, so that a new configuration applies at once.
    """

    def __init__(self, url: str, vault: Vault, deadline_seconds: Callable[[], float]) -> None:
        self._url = url
        self._vault = vault
        self._deadline_seconds = deadline_seconds
        self._is_embedded = is_sqlite(url)
        self._lock = Lock()
        self._engine: Engine | None = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection for reading. Raises `TooSlow` and `StorageUnavailable`."""
        yield from self._read(is_one_moment=False)

    @contextmanager
    def read_at_one_moment(self) -> Iterator[Connection]:
        """Like `read`, but every statement sees the same snapshot, as always on SQLite."""
        yield from self._read(is_one_moment=True)

    def close(self) -> None:
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
            self._engine = None

    def _read(self, *, is_one_moment: bool) -> Iterator[Connection]:
        seconds = self._deadline_seconds()
        until = time.monotonic() + seconds
        try:
            with self._opened(seconds).begin() as connection:
                if self._is_embedded:
                    with _interrupted_at(connection, until):
                        yield connection
                    return
                if is_one_moment:
                    connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                # For this transaction only: a pooler may give the session to others after it.
                milliseconds = max(1, int(1000 * seconds))
                connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds}")
                yield connection
        except SQLAlchemyError as error:
            if _is_late(error, until):
                raise TooSlow(f"a query took longer than {seconds:g} s") from error
            raise failure(error) from None

    def _opened(self, deadline_seconds: float) -> Engine:
        with self._lock:
            if self._engine is None:
                engine = read_engine(self._url, POOL_SIZE, self._vault)
                if not self._is_embedded:
                    bound_waits(engine, deadline_seconds + _MARGIN_SECONDS)
                    drop_closed(engine)
                self._engine = engine
            return self._engine


@contextmanager
def _interrupted_at(connection: Connection, until: float) -> Iterator[None]:
    """Make SQLite interrupt any statement on this connection after ``until``."""
    sqlite = connection.connection.driver_connection
    assert sqlite is not None  # noqa: S101 -- it was just begun on
    sqlite.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
    try:
        yield
    finally:
        sqlite.set_progress_handler(None, 0)


def _is_late(error: SQLAlchemyError, until: float) -> bool:
    if not isinstance(error, DBAPIError):
        return False
    is_ended = getattr(error.orig, "sqlstate", None) == _QUERY_CANCELED
    return is_ended or (time.monotonic() > until and "interrupted" in str(error.orig))
