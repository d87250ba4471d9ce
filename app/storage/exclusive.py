"""How is a database held so that nobody else writes to it, or read as it was at one moment?"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import OperationalError

from app.storage.engines import lone_engine, read_engine
from app.storage.tables import Base

# A session ends a moment after its program does.
_PATIENCE_SECONDS = 2.0
# Sessions of people and programs; the server's own workers have no user.
_OTHERS = text(
    "SELECT usename, application_name, client_addr FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL"
)


class InUse(Exception):  # noqa: N818 -- reads as the claim it makes
    """Somebody else has the database open."""


@contextmanager
def held(url: str) -> Iterator[Connection]:
    """A transaction over a database that nobody else has open. Raises `InUse` otherwise.

    On PostgreSQL somebody may come later: see `lock_tables`.
    """
    engine = lone_engine(url)
    try:
        with engine.begin() as connection:
            _require_alone(connection)
            yield connection
    except OperationalError as error:
        if "database is locked" in str(error.orig):
            raise InUse("another process has the file open") from None
        raise
    finally:
        engine.dispose()


@contextmanager
def snapshot(url: str) -> Iterator[Connection]:
    """A transaction that sees one moment, whatever others write meanwhile."""
    engine = read_engine(url, 1)
    try:
        if engine.dialect.name == "postgresql":
            engine = engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        with engine.begin() as connection:
            _without_timeouts(connection)
            yield connection
    finally:
        engine.dispose()


def _require_alone(connection: Connection) -> None:
    if connection.dialect.name != "postgresql":
        return
    _without_timeouts(connection)
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while others := connection.execute(_OTHERS).all():
        if time.monotonic() > give_up:
            told = sorted({_told(one) for one in others})
            raise InUse(f"others are connected: {', '.join(told)}")
        time.sleep(0.05)
        # The server shows a transaction the sessions of its first look, unless told otherwise.
        connection.execute(text("SELECT pg_stat_clear_snapshot()"))


def lock_tables(connection: Connection) -> None:
    """Let nobody else write to any table of ours, until the transaction ends."""
    if connection.dialect.name == "postgresql":
        names = ", ".join(f'"{table.name}"' for table in Base.metadata.sorted_tables)
        connection.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))


def _without_timeouts(connection: Connection) -> None:
    """Let one statement, and the pause between two, take as long as a large table needs."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))


def _told(session: Row[tuple[str, str | None, str | None]]) -> str:
    program = session.application_name or "a program without a name"
    return f"{session.usename} with {program} from {session.client_addr or 'this machine'}"
