"""Validate a database's address before use, with messages that do not quote it."""

from enum import StrEnum
from importlib.util import find_spec

_NO_ADDRESS = "is not an address: write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
_OTHER = "must begin with sqlite:/// or postgresql://"
_NO_FILE = "must name an SQLite file: sqlite:///path/to/vouch.db"
# The text after the first @ would be taken for the host, and appear in error messages.
_SECOND_AT = "has more than one @: write an @ in the password as %40"
_NO_DRIVER = "needs a driver: pip install 'vouch-rewards[postgres]'"

_SQLITE = frozenset({"sqlite", "sqlite+pysqlite"})
_POSTGRES = "postgresql+psycopg"

# Our own parameter in an address of PostgreSQL: postgresql://…/vouch?pooler=transaction
POOLER = "pooler"


class Pooler(StrEnum):
    """How a pooler such as PgBouncer assigns the server's sessions to its clients."""

    SESSION = "session"
    TRANSACTION = "transaction"


_NO_POOLER = f"has a wrong {POOLER}: write {' or '.join(Pooler)}"


def with_our_driver(url: str) -> str:
    """Name our driver, so that an operator may use the form that every tool prints."""
    for prefix in ("postgres://", "postgresql://"):
        if url.startswith(prefix):
            return f"{_POSTGRES}://{url.removeprefix(prefix)}"
    return url


def problem_of(url: str) -> str | None:
    """Return what is wrong with a database's address, or None."""
    # Imported late: not every command needs a database.
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    if not url.startswith(("sqlite", "postgres")):
        return _OTHER
    try:
        parts = make_url(with_our_driver(url))
    except (ArgumentError, ValueError):
        return _NO_ADDRESS
    if parts.drivername in _SQLITE:
        return None if _is_a_file(parts.database) else _NO_FILE
    if parts.drivername != _POSTGRES:
        return _OTHER
    if "@" in (parts.host or ""):
        return _SECOND_AT
    if parts.query.get(POOLER, Pooler.SESSION) not in tuple(Pooler):
        return _NO_POOLER
    return None if find_spec("psycopg") else _NO_DRIVER


def _is_a_file(database: str | None) -> bool:
    return bool(database) and database != ":memory:" and not str(database).startswith("file:")
