"""Which errors of the database are outages, to try again after, and which are faults of ours?"""

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

# Outages that PostgreSQL's driver puts among the errors of programs, by SQLSTATE.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_OPERATIONAL = frozenset(
    {
        "22P05",  # its encoding has no place for a character: `vouch check` warns of it
        "25006",  # the server takes no writes: it was demoted
        "25P03",  # a session that was idle in its transaction, or
        "25P04",  # a transaction that took too long, was ended by the server
        "26000",  # a pooler gave us a session without what was prepared, or
        "42P05",  # with what another prepared
        "3D000",  # the database is gone,
        "3F000",  # or the schema
        "42501",  # we may not, any more
        "42P01",  # a table or
        "42703",  # a column or
        "42P10",  # a constraint is not there: between the two halves of an upgrade
        "72000",  # the snapshot is too old
    }
)
# The server's own faults: a bug of its, or damaged files.
_INTERNAL = "XX"
# A statement that was prepared before a migration.
_STALE_PLAN = "cached plan must not change result type"
# SQLite has one code for many things. Of those, what an upgrade in progress, or a transaction that
# SQLite gave up by itself (a full disk), makes of a statement that is right.
_SQLITE_OPERATIONAL = re.compile(
    r"no such (table|column|index|savepoint)|has no column named|ON CONFLICT clause does not match"
    r"|no transaction is active|schema has changed|disk|locked|busy",
    re.IGNORECASE,
)


def failure(error: Exception) -> Exception:
    """What our callers get: of a database's error one of our own two; of any other itself.

    The driver's first line is all that is kept of the text: the rest may quote values.
    """
    if not isinstance(error, SQLAlchemyError):
        return error
    said = f"{type(error).__name__}: {_first_line(error)}"
    if is_outage(error):
        return StorageUnavailable(said)
    # Without a cause, whose text would be in the log: raise it `from None`. The traceback is kept.
    return StatementFailed(said).with_traceback(error.__traceback__)


def is_outage(error: SQLAlchemyError) -> bool:
    """Whether the database failed, and not what we asked of it."""
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
    # Neither of these is a plain DatabaseError: that is a damaged file, or no database at all.
    ours = sqlite3.ProgrammingError | sqlite3.IntegrityError | sqlite3.DataError
    return not isinstance(error, ours | sqlite3.NotSupportedError)


def _is_outage_of_postgres(error: DBAPIError) -> bool:
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate is None and error.statement is None:
        # No statement got as far as the server: what the address says is not to be connected to.
        return True
    if sqlstate in _OPERATIONAL or (sqlstate or "").startswith(_INTERNAL):
        return True
    if isinstance(error, OperationalError | InterfaceError):
        return True
    return type(error) in (DBAPIError, DatabaseError) or _STALE_PLAN in str(error.orig)


def _first_line(error: SQLAlchemyError) -> str:
    """The driver's words. SQLAlchemy's own text would add the statement and its values."""
    lines = str(getattr(error, "orig", None) or type(error).__name__).splitlines()
    return lines[0][:200] if lines else type(error).__name__
