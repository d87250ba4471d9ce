"""What is the least that must be written to know that a callback could be kept?"""

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
# As an insert of an event would: a table that somebody else keeps locked takes none.
_LOCK = text(f"LOCK TABLE {EVENTS.name} IN ROW EXCLUSIVE MODE")
# A row of which nothing is changed. Who holds it writes to it, and need not be waited for.
_TINY = f"UPDATE {VERSION_TABLE} SET version_num = version_num"  # noqa: S608 -- of constants
_TINY_UNLESS_HELD = text(
    f"{_TINY} WHERE version_num IN"  # noqa: S608 -- likewise
    f" (SELECT version_num FROM {VERSION_TABLE} FOR UPDATE SKIP LOCKED)"
)


def write_tiny_postgres(engine: Engine) -> None:
    """Raises SQLAlchemy's errors, and `NoTurn` when our own connections are all in use."""
    try:
        with engine.begin() as connection:
            connection.execute(_LIMITS)
            connection.execute(_LOCK)
            connection.execute(_TINY_UNLESS_HELD)
    except NoConnection:
        raise NoTurn("all of our connections are in use") from None


def write_tiny_sqlite(engine: Engine) -> None:
    """Raises SQLite's errors, and `NoTurn` when somebody keeps the database locked, us included."""
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
