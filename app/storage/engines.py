"""How is each database opened, so that what we acknowledged survives a loss of power?"""

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
# A platform gives up after 10 seconds or so, and calls again only if it did not get a 2xx or 4xx.
# The server ends a statement itself before we give up on the server.
PATIENCE_SECONDS = 8.0


def is_sqlite(url: str) -> bool:
    return url.startswith("sqlite")


def sqlite_path(url: str) -> Path:
    """The file behind an SQLite URL. Raises ValueError for one that keeps nothing on disk."""
    try:
        database = make_url(url).database
    except ArgumentError:
        database = None
    if not database or database == ":memory:" or database.startswith("file:"):
        raise ValueError("DATABASE_URL must name an SQLite file: sqlite:///path/to/vouch.db")
    return Path(database)


def write_engine(url: str, pool_size: int = 16, vault: Vault | None = None) -> Engine:
    """An engine whose transactions may write, and seal with the vault's keys."""
    if is_sqlite(url):
        return _sqlite(url, "BEGIN IMMEDIATE", 2, vault or Vault())
    return postgres_engine(url, pool_size, vault or Vault())


def read_engine(url: str, pool_size: int = 16, vault: Vault | None = None) -> Engine:
    """An engine for reads. On SQLite it never waits for a writer, nor makes one wait."""
    if is_sqlite(url):
        return _sqlite(url, "BEGIN", pool_size, vault or Vault())
    return postgres_engine(url, pool_size, vault or Vault())


def lone_engine(url: str) -> Engine:
    """An engine for one who must be alone: on SQLite it fails while any other has the file open.

    On PostgreSQL it is like the others; ask `app.storage.exclusive`.
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
        # Inserts have a text for each number of rows (`bulk`); each is to be prepared once.
        connect_args={"cached_statements": 512},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # sqlite3 would begin transactions by its own rules; we say BEGIN ourselves, below.
        connection.isolation_level = None
        for pragma in (
            # Before anything is read: the file's own lock is taken then, and kept.
            f"locking_mode={'EXCLUSIVE' if is_alone else 'NORMAL'}",
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            # After a long reader it is as large as all that was written meanwhile.
            f"journal_size_limit={LOG_LIMIT_BYTES}",
            # FULL: a commit is on disk when it returns, also after a loss of power.
            "synchronous=FULL",
            "foreign_keys=ON",
            "cache_size=-16000",
            # What a statement would undo by itself, if it failed half-way: not a file for each.
            "temp_store=MEMORY",
            # What is deleted is overwritten, not left lying in the file.
            "secure_delete=ON",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def start(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _make_private(path: Path) -> None:
    """Make a database that is not there yet its owner's alone, whatever the umask is.

    What SQLite makes beside it, its log and its index, gets the mode of the database.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # One that is there keeps its mode, and is not opened: to close it would give up the locks that
    # this process holds on it. What else is wrong with the path, SQLite says in its own words.
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
