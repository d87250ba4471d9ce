"""Copy an SQLite database while it is in use, as a consistent snapshot."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path


class CannotBackUp(Exception):  # noqa: N818 -- reads as the claim it makes
    """No copy was made; the text says why."""


def back_up(database: Path, copy: Path) -> int:
    """Write a checked copy of an SQLite database and return its size in bytes.

    Only the owner can read the copy, and it gets its name once it is complete. The service may keep
    writing. Raises `CannotBackUp`; an existing file is never replaced.
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
        _check(unfinished)
        _to_disk(unfinished)
        unfinished.rename(copy)
        _to_disk(copy.parent)
    except (OSError, sqlite3.Error) as error:
        raise CannotBackUp(str(error)) from error
    finally:
        unfinished.unlink(missing_ok=True)
    return copy.stat().st_size


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
