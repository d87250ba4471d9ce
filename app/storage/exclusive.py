"""Exclusive access to a database, and consistent snapshots of one."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import OperationalError

from app.storage.engines import lone_engine, read_engine
from app.storage.tables import Base

# A session ends a moment after its program does.
_PATIENCE_SECONDS = 2.0
# Only sessions of people and programs; the server's own workers have no user.
_OTHERS = text(
    "SELECT usename, application_name, client_addr FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL"
)


class InUse(Exception):  # noqa: N818 -- reads as the claim it makes
    """Another process has the database open."""


@contextmanager
def held(url: str) -> Iterator[Connection]:
    """Yield a transaction on a database that nobody else has open. Raises `InUse` otherwise.

    On PostgreSQL others may connect later: see `lock_tables`.
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
    """Yield a transaction that sees one snapshot, whatever others write in the meantime."""
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
            sessions = sorted({_describe(session) for session in others})
            raise InUse(f"others are connected: {', '.join(sessions)}")
        time.sleep(0.05)
        # Without this a transaction keeps seeing the sessions of its first query.
        connection.execute(text("SELECT pg_stat_clear_snapshot()"))


def lock_tables(connection: Connection) -> None:
    """Prevent others from writing to our tables until the transaction ends."""
    if connection.dialect.name == "postgresql":
        names = ", ".join(f'"{table.name}"' for table in Base.metadata.sorted_tables)
        connection.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))


def _without_timeouts(connection: Connection) -> None:
    """Allow a statement, and an idle pause, as much time as a large table needs."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))


def _describe(session: Row[tuple[str, str | None, str | None]]) -> str:
    program = session.application_name or "an unnamed program"
    return f"{session.usename} with {program} from {session.client_addr or 'this machine'}"
