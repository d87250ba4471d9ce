"""Copy an SQLite database while it is in use, as a consistent snapshot."""

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

# A backup says in SQLite's own field for applications when it was made, in seconds from here.
# https://www.sqlite.org/pragma.html#pragma_user_version: 32 bits, which are enough until 2068.
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class CannotBackUp(Exception):  # noqa: N818 -- reads as the claim it makes
    """No copy was made; the text says why."""


def back_up(database: Path, copy: Path, now: datetime) -> int:
    """Write a copy that nobody else can read, check it, and only then give it its name; its bytes.

    The copy carries the moment ``now`` (`made_at`). The service may go on writing. Raises
    `CannotBackUp`; a file of that name is never replaced.
    """
    if copy.exists():
        raise CannotBackUp(f"{copy} already exists")
    if not database.is_file():
        raise CannotBackUp(f"{database} does not exist")
    unfinished = copy.with_name(f"{copy.name}.unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        # The copy holds personal data, whatever the umask is.
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        _write(database, unfinished)
        note_moment(unfinished, now)
        _check(unfinished)
        _to_disk(unfinished)
        unfinished.rename(copy)
        _to_disk(copy.parent)
    except (OSError, sqlite3.Error) as error:
        raise CannotBackUp(str(error)) from error
    finally:
        unfinished.unlink(missing_ok=True)
    return copy.stat().st_size


def made_at(database: Path) -> datetime | None:
    """When the backup was made that this database was restored from; None: it is no backup."""
    try:
        with closing(sqlite3.connect(database)) as connection:
            [seconds] = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error:
        return None
    return _EPOCH + timedelta(seconds=seconds) if seconds > 0 else None


def note_moment(database: Path, at: datetime | None) -> None:
    """Let a database carry a moment, or none."""
    seconds = 0 if at is None else int((at - _EPOCH).total_seconds())
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"PRAGMA user_version = {seconds}")


def _write(database: Path, copy: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        # https://www.sqlite.org/lang_vacuum.html#vacuuminto: one read transaction, no free pages.
        connection.execute("VACUUM INTO ?", (str(copy),))


def _check(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as connection:
        [found] = connection.execute("PRAGMA integrity_check").fetchone()
    if found != "ok":
        raise CannotBackUp(f"the copy is damaged: {found}")


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
