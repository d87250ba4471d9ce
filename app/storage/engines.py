"""SQLAlchemy engines for both databases, with settings that make a commit survive a power loss."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from app.storage.postgres import postgres_engine
from app.storage.sqlite_files import LOG_LIMIT_BYTES
from app.storage.vault import Vault, with_vault

BUSY_TIMEOUT_MS = 5_000
# A platform gives up after about 10 seconds, and calls again only if it did not get a 2xx or 4xx.
# The server ends a statement itself before we give up on the server.
PATIENCE_SECONDS = 8.0


def is_sqlite(url: str) -> bool:
    return url.startswith("sqlite")


def sqlite_path(url: str) -> Path:
    """Return the file of an SQLite URL. Raises ValueError for a database that is not on disk."""
    try:
        database = make_url(url).database
    except ArgumentError:
        database = None
    if not database or database == ":memory:" or database.startswith("file:"):
        raise ValueError("DATABASE_URL must name an SQLite file: sqlite:///path/to/vouch.db")
    return Path(database)


def write_engine(url: str, pool_size: int = 16, vault: Vault | None = None) -> Engine:
    """Return an engine whose transactions may write, and seal with the vault's keys."""
    if is_sqlite(url):
        return _sqlite(url, "BEGIN IMMEDIATE", 2, vault or Vault())
    return postgres_engine(url, pool_size, vault or Vault())


def read_engine(url: str, pool_size: int = 16, vault: Vault | None = None) -> Engine:
    """Return an engine for reads. On SQLite readers and writers do not wait for each other."""
    if is_sqlite(url):
        return _sqlite(url, "BEGIN", pool_size, vault or Vault())
    return postgres_engine(url, pool_size, vault or Vault())


def lone_engine(url: str) -> Engine:
    """Return an engine for exclusive use: on SQLite it fails while another process has the file.

    On PostgreSQL it is an ordinary engine; see `app.storage.exclusive`.
    """
    return (
        _sqlite(url, "BEGIN EXCLUSIVE", 1, Vault(), is_alone=True)
        if is_sqlite(url)
        else postgres_engine(url, 1, Vault())
    )


def _sqlite(
    url: str, begin: str, pool_size: int, vault: Vault, *, is_alone: bool = False
) -> Engine:
    _make_private(sqlite_path(url).resolve())
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=32,
        pool_timeout=5,
        hide_parameters=True,
        execution_options=with_vault(vault),
        # Inserts have one text for each number of rows (`bulk`); each should be prepared once.
        connect_args={"cached_statements": 512},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # sqlite3 would begin transactions by its own rules; we send BEGIN ourselves, below.
        connection.isolation_level = None
        for pragma in (
            # This comes before any read, which takes and keeps the lock of the file.
            f"locking_mode={'EXCLUSIVE' if is_alone else 'NORMAL'}",
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            # After a long read the log is as large as everything written in the meantime.
            f"journal_size_limit={LOG_LIMIT_BYTES}",
            # FULL: a commit is on disk when it returns, even after a power loss.
            "synchronous=FULL",
            "foreign_keys=ON",
            "cache_size=-16000",
            # Keep statement journals in memory instead of writing a file for each.
            "temp_store=MEMORY",
            # Overwrite deleted content instead of leaving it in the file.
            "secure_delete=ON",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def start(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _make_private(path: Path) -> None:
    """Create a missing database file with access for its owner only, whatever the umask is.

    SQLite gives its log and index files the mode of the database.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # An existing file keeps its mode and is not opened: closing it would release the locks that
    # this process holds on it. SQLite reports other problems with the path itself.
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
