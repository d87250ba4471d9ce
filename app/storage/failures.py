"""Tell outages of the database, after which one tries again, from errors of this program."""

import re
import sqlite3

from sqlalchemy.exc import (
    DatabaseError,
    DBAPIError,
    DisconnectionError,
    InterfaceError,
    OperationalError,
    PendingRollbackError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.storage.errors import StatementFailed, StorageUnavailable

# Outages that psycopg reports as programming errors, by SQLSTATE.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_OPERATIONAL = frozenset(
    {
        "22P05",  # the encoding of the database lacks a character: `vouch check` warns
        "25006",  # the server takes no writes: it was demoted
        "25P03",  # idle in a transaction for too long
        "25P04",  # transaction timeout
        "26000",  # a pooler gave us a session without our prepared statement
        "42P05",  # a pooler gave us a session with another's prepared statement
        "3D000",  # the database was dropped
        "3F000",  # the schema was dropped
        "42501",  # our permission was revoked
        "42P01",  # no such table: in the middle of an upgrade
        "42703",  # no such column, likewise
        "42P10",  # no such constraint, likewise
        "72000",  # the snapshot is too old
    }
)
# The server's own errors: a bug, or damaged files.
_INTERNAL = "XX"
# A statement was prepared before a migration.
_STALE_PLAN = "cached plan must not change result type"
# SQLite has one code for many errors. These occur for correct statements during an upgrade, or
# after SQLite rolled back by itself (a full disk).
_SQLITE_OPERATIONAL = re.compile(
    r"no such (table|column|index|savepoint)|has no column named|ON CONFLICT clause does not match"
    r"|no transaction is active|schema has changed|disk|locked|busy",
    re.IGNORECASE,
)


def failure(error: Exception) -> Exception:
    """Return the error for our callers: one of our own for a database error, else the same error.

    Only the first line of the driver's text is kept: the rest may quote values.
    """
    if not isinstance(error, SQLAlchemyError):
        return error
    text = f"{type(error).__name__}: {_first_line(error)}"
    if is_outage(error):
        return StorageUnavailable(text)
    # Raise it `from None`: the cause's text would be in the log. The traceback is kept.
    return StatementFailed(text).with_traceback(error.__traceback__)


def is_outage(error: SQLAlchemyError) -> bool:
    """Whether the database failed rather than our statement."""
    if isinstance(error, DisconnectionError | PoolTimeout | PendingRollbackError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    if isinstance(error.orig, sqlite3.Error):
        return _is_outage_of_sqlite(error.orig)
    return _is_outage_of_postgres(error)


def _is_outage_of_sqlite(error: sqlite3.Error) -> bool:
    if type(error) is sqlite3.OperationalError:
        is_vague = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
        return not is_vague or bool(_SQLITE_OPERATIONAL.search(str(error)))
    # Not these, but also a plain DatabaseError: a damaged file, or no database.
    ours = sqlite3.ProgrammingError | sqlite3.IntegrityError | sqlite3.DataError
    return not isinstance(error, ours | sqlite3.NotSupportedError)


def _is_outage_of_postgres(error: DBAPIError) -> bool:
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate is None and error.statement is None:
        # The connection failed before any statement: the server cannot be reached.
        return True
    if sqlstate in _OPERATIONAL or (sqlstate or "").startswith(_INTERNAL):
        return True
    if isinstance(error, OperationalError | InterfaceError):
        return True
    return type(error) in (DBAPIError, DatabaseError) or _STALE_PLAN in str(error.orig)


def _first_line(error: SQLAlchemyError) -> str:
    """Return the driver's text. SQLAlchemy's own would add the statement and its values."""
    lines = str(getattr(error, "orig", None) or type(error).__name__).splitlines()
    return lines[0][:200] if lines else type(error).__name__
