"""Reads a few rows of an embedded database with `sqlite3` alone: SQLAlchemy imports slowly."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_SCHEME = "sqlite:///"


def plain_path(url: str) -> Path | None:
    """The file that a plain SQLite URL names; None: SQLAlchemy must read the URL."""
    path = url.removeprefix(_SCHEME)
    is_plain = url.startswith(_SCHEME) and not set(path) & set("?%:#")
    return Path(path) if is_plain and path else None


def rows(path: Path, statement: str) -> list[dict[str, Any]] | None:
    """What a SELECT finds; None where this file is not as it should be, for others to say how."""
    try:
        with closing(sqlite3.connect(path, timeout=5)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(statement)]
    except sqlite3.Error:
        return None


def moment(text: str | None) -> datetime | None:
    """A time as `app.storage.types` keeps it in SQLite."""
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)
