"""The smallest write that shows whether a callback could be stored."""

import sqlite3
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import TimeoutError as NoConnection

from app.storage.migrate import VERSION_TABLE
from app.storage.tables import EVENTS
from app.storage.writability import NoTurn

_BUSY_MS = 500
_LIMITS = text(
    "SELECT set_config('lock_timeout', '500ms', true),"
    " set_config('statement_timeout', '2000ms', true)"
)
# The lock of an insert into events: it fails when another session keeps the table locked.
_LOCK = text(f"LOCK TABLE {EVENTS.name} IN ROW EXCLUSIVE MODE")
# An update that changes nothing. A row locked by another session is skipped: that session writes.
_TINY = f"UPDATE {VERSION_TABLE} SET version_num = version_num"  # noqa: S608 -- of constants
_TINY_UNLESS_HELD = text(
    f"{_TINY} WHERE version_num IN"  # noqa: S608 -- likewise
    f" (SELECT version_num FROM {VERSION_TABLE} FOR UPDATE SKIP LOCKED)"
)


def write_tiny_postgres(engine: Engine) -> None:
    """Raise SQLAlchemy's errors, or `NoTurn` when all of our own connections are in use."""
    try:
        with engine.begin() as connection:
            connection.execute(_LIMITS)
            connection.execute(_LOCK)
            connection.execute(_TINY_UNLESS_HELD)
    except NoConnection:
        raise NoTurn("all of our connections are in use") from None


def write_tiny_sqlite(engine: Engine) -> None:
    """Raise SQLite's errors, or `NoTurn` when another connection, ours included, holds the lock."""
    raw = engine.raw_connection()
    driver: Any = raw.driver_connection
    [(usual,)] = driver.execute("PRAGMA busy_timeout").fetchall()
    driver.execute(f"PRAGMA busy_timeout={_BUSY_MS}").close()
    try:
        for statement in ("BEGIN IMMEDIATE", _TINY, "COMMIT"):
            driver.execute(statement).close()
    except sqlite3.OperationalError as error:
        if driver.in_transaction:
            driver.execute("ROLLBACK").close()
        if "locked" in str(error):
            raise NoTurn(str(error)) from None
        raise
    finally:
        driver.execute(f"PRAGMA busy_timeout={usual}").close()
        raw.close()
