"""Detect that an SQLite database's files were replaced, and keep its write-ahead log small."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event

from app.storage.errors import StorageUnavailable

# A restarted log is truncated to this size. Usually it holds a thousand pages, 4 MB.
LOG_LIMIT_BYTES = 16 << 20
# From this size on, `SqliteFiles.shrink` moves the log's pages into the database instead of the
# writer: callbacks would wait for so many pages.
_LARGE_LOG_BYTES = 2 * LOG_LIMIT_BYTES
_PAGES_AT_A_COMMIT = 1_000
_ENDINGS = ("", "-wal", "-shm")
# How long the writer waits for readers of the log's last pages.
_BUSY_MS = 100

_Identity = tuple[tuple[int, int] | None, ...]


class SqliteFiles:
    """The database file, its write-ahead log (``-wal``) and the log's index (``-shm``).

    When one of them is removed or replaced, we write to an unlinked file whose content is lost at
    the end of the service.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self._paths = tuple(f"{self._path}{ending}" for ending in _ENDINGS)
        self._opened: _Identity | None = None
        self._connections = 0
        self._is_log_large = False

    def watch(self, engine: Engine) -> None:
        """Remember the files of the first connection, and refuse to open others later."""

        @event.listens_for(engine, "connect")
        def connected(_connection: Any, _record: object) -> None:
            found = self._found()
            if self._opened is None or (not self._connections and found[0] == self._opened[0]):
                # The last connection to close removes the log; the next one makes a new one.
                self._opened = found
            elif found != self._opened:
                raise sqlite3.OperationalError(self._moved())
            self._connections += 1

        @event.listens_for(engine, "close")
        def closed(_connection: Any, _record: object) -> None:
            self._connections -= 1

    def relieve(self, writes: Engine) -> None:
        """Let the writer's commits checkpoint only while there are few pages to move."""

        @event.listens_for(writes, "commit")
        def committing(connection: Connection) -> None:
            pages = 0 if self._is_log_large else _PAGES_AT_A_COMMIT
            if connection.info.setdefault("pages_at_a_commit", _PAGES_AT_A_COMMIT) != pages:
                connection.info["pages_at_a_commit"] = pages
                raw: Any = connection.connection.driver_connection
                raw.execute(f"PRAGMA wal_autocheckpoint={pages}").close()

    def require_in_place(self) -> None:
        """Raise `StorageUnavailable` when the last write went to an unlinked file."""
        if self._opened is not None and self._found() != self._opened:
            raise StorageUnavailable(self._moved())

    def shrink(self, engine: Engine) -> None:
        """Shrink a large log, as far as readers of older pages allow.

        Callbacks wait only for its last pages.
        """
        if self._log_bytes() <= LOG_LIMIT_BYTES:
            self._is_log_large = False
            return
        with _checkpointing(engine) as checkpoint:
            # PASSIVE runs beside the writer, and moves the pages that no reader needs.
            _, pages, moved = checkpoint("PASSIVE")
            if pages - moved <= _PAGES_AT_A_COMMIT:
                checkpoint("TRUNCATE")

    def _found(self) -> _Identity:
        return tuple(self._identity(path) for path in self._paths)

    def _identity(self, path: str) -> tuple[int, int] | None:
        try:
            found = os.stat(path)  # noqa: PTH116 -- for each commit
        except OSError:
            return None
        if path is self._paths[1]:
            self._is_log_large = found.st_size > _LARGE_LOG_BYTES
        return found.st_dev, found.st_ino

    def _log_bytes(self) -> int:
        try:
            return Path(self._paths[1]).stat().st_size
        except OSError:
            return 0

    def _moved(self) -> str:
        return (
            f"{self._path.name}, or its -wal or -shm, was removed or replaced while it was open:"
            " put it back, or restart the service"
        )


@contextmanager
def _checkpointing(engine: Engine) -> Iterator[Any]:
    """Run checkpoints on a separate connection that waits for others only briefly."""
    raw = engine.raw_connection()
    driver: Any = raw.driver_connection
    [(usual,)] = driver.execute("PRAGMA busy_timeout").fetchall()
    driver.execute(f"PRAGMA busy_timeout={_BUSY_MS}").close()
    try:
        # https://www.sqlite.org/pragma.html#pragma_wal_checkpoint
        yield lambda mode: driver.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    finally:
        driver.execute(f"PRAGMA busy_timeout={usual}").close()
        raw.close()
