"""Send several statements to PostgreSQL in one round trip."""

# A statement waits for the answer to the one before only where it needs it. Over a network round
# trips are most of a transaction's time; on one machine they are half of it. Statements use
# PostgreSQL's own `$1` placeholders: the driver would search a long text for its own each time.
# SQLite needs no round trip, and gets them in its own words.

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from app.storage.timeouts import give_up, is_refusal
from app.storage.types import sqlite_time

Statement = tuple[str, Sequence[Any]]

# PostgreSQL's words for a value, and SQLite's. Whatever is in a list, the text is the same, so that
# it is prepared once.
_WORDS = (
    (re.compile(r"= ANY\(\$(\d+)\)"), r"IN (SELECT value FROM json_each(?\1))"),
    (re.compile(r"CAST\(\$(\d+) AS timestamptz\)"), r"?\1"),
    (re.compile(r"\$(\d+)"), r"?\1"),
)


@dataclass(frozen=True, slots=True)
class Reply:
    """The result of one statement: the rows it wrote or found."""

    count: int
    rows: Sequence[Any]


def has_pipeline(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def in_one_trip(connection: Connection, statements: Sequence[Statement]) -> list[Reply]:
    """Run statements in order in the connection's transaction, and return all replies.

    Raises SQLAlchemy's errors, as if it had run the statements itself.
    """
    import psycopg

    raw: Any = connection.connection.driver_connection
    try:
        with raw.pipeline():
            cursors = [psycopg.RawCursor(raw).execute(text, values) for text, values in statements]
        return [
            Reply(cursor.rowcount, cursor.fetchall() if cursor.description else ())
            for cursor in cursors
        ]
    except psycopg.Error as error:
        if raw.closed or is_refusal(error):
            give_up(connection, error)
        sent = "; ".join(text for text, _ in statements)
        raise DBAPIError.instance(
            sent, None, error, psycopg.Error, hide_parameters=True, dialect=connection.dialect
        ) from error


def one_by_one(connection: Connection, statements: Sequence[Statement]) -> list[Reply]:
    """Run statements on SQLite, and read all replies; values are handed over as it keeps them.

    Raises SQLAlchemy's errors.
    """
    return [_on_sqlite(connection, text, values) for text, values in statements]


def _on_sqlite(connection: Connection, text: str, values: Sequence[Any]) -> Reply:
    given = tuple(map(_as_sqlite_takes_it, values))
    cursor = connection.exec_driver_sql(_in_sqlites_words(text), given)
    if not cursor.returns_rows:
        return Reply(cursor.rowcount, ())
    rows = cursor.all()
    return Reply(len(rows), rows)


@lru_cache(maxsize=64)
def _in_sqlites_words(text: str) -> str:
    for written, meant in _WORDS:
        text = written.sub(meant, text)
    return text


def _as_sqlite_takes_it(value: Any) -> Any:
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    return sqlite_time(value) if isinstance(value, datetime) else value
