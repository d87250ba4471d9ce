"""Are an SQLite database's files still those that were opened, and is its log of changes small?"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event

from app.storage.errors import StorageUnavailable

# A log that was begun again is cut to this. In usual service it holds a thousand pages, 4 MB.
LOG_LIMIT_BYTES = 16 << 20
# From here on, the writer leaves it to `SqliteFiles.shrink`, beside it, to move the log's pages
# into the database: callbacks would wait behind so many.
_LARGE_LOG_BYTES = 2 * LOG_LIMIT_BYTES
_PAGES_AT_A_COMMIT = 1_000
_ENDINGS = ("", "-wal", "-shm")
# How long the writer may wait for the last pages of a log, with whoever still reads an older one.
_BUSY_MS = 100

_Identity = tuple[tuple[int, int] | None, ...]


class SqliteFiles:
    """The database's own file, its log (``-wal``) and the log's index (``-shm``).

    Whoever removes or replaces one of them leaves us writing into a file without a name, which is
    gone when the service ends.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self._paths = tuple(f"{self._path}{ending}" for ending in _ENDINGS)
        self._opened: _Identity | None = None
        self._connections = 0
        self._is_log_large = False

    def watch(self, engine: Engine) -> None:
        """Remember what the first connection opened, and open nothing else later."""

        @event.listens_for(engine, "connect")
        def connected(_connection: Any, _record: object) -> None:
            found = self._found()
            if self._opened is None or (not self._connections and found[0] == self._opened[0]):
                # The last to close the database removes its log; the next makes another.
                self._opened = found
            elif found != self._opened:
                raise sqlite3.OperationalError(self._moved())
            self._connections += 1

        @event.listens_for(engine, "close")
        def closed(_connection: Any, _record: object) -> None:
            self._connections -= 1

    def relieve(self, writes: Engine) -> None:
        """Let the writer's commits move pages into the database only while they are few."""

        @event.listens_for(writes, "commit")
        def committing(connection: Connection) -> None:
            pages = 0 if self._is_log_large else _PAGES_AT_A_COMMIT
            if connection.info.setdefault("pages_at_a_commit", _PAGES_AT_A_COMMIT) != pages:
                connection.info["pages_at_a_commit"] = pages
                raw: Any = connection.connection.driver_connection
                raw.execute(f"PRAGMA wal_autocheckpoint={pages}").close()

    def require_in_place(self) -> None:
        """Raise `StorageUnavailable` when what was just written is in a file without its name."""
        if self._opened is not None and self._found() != self._opened:
            raise StorageUnavailable(self._moved())

    def shrink(self, engine: Engine) -> None:
        """Make a large log small again, as far as readers of older pages let us.

        Callbacks wait for its last pages only.
        """
        if self._log_bytes() <= LOG_LIMIT_BYTES:
            self._is_log_large = False
            return
        with _checkpointing(engine) as checkpoint:
            # Beside the writer, and as many pages as nobody still needs as they were.
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
    """Checkpoints on a connection of its own, which wait for nobody for long."""
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
