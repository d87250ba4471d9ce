"""Detect a connection pooler such as PgBouncer in front of PostgreSQL."""

from contextlib import closing
from dataclasses import dataclass
from typing import Any

from app.settings.addresses import Pooler
from app.storage.postgres import plain_session

_PATIENCE_SECONDS = 3.0
# Others may take a session between two of our queries.
_LOOKS = 4


@dataclass(frozen=True, slots=True)
class Found:
    """The pooler in front of the server, if there is one, and the encoding of the database."""

    pooler: Pooler | None
    encoding: str


def look_at(url: str) -> Found:
    """Look for a pooler, and read the encoding. Raises the driver's errors."""
    with closing(plain_session(url, _PATIENCE_SECONDS)) as session:
        encoding = session.info.parameter_status("server_encoding") or ""
        # PgBouncer gives its clients an invented process id.
        is_direct = session.info.backend_pid == _served_by(session)
        return Found(None if is_direct else _mode(url, session), encoding)


def _mode(url: str, session: Any) -> Pooler:
    """Return the pooler's mode: by transaction, two of our connections get the same session."""
    import psycopg

    try:
        with closing(plain_session(url, _PATIENCE_SECONDS)) as another:
            for _ in range(_LOOKS):
                if _served_by(session) == _served_by(another):
                    return Pooler.TRANSACTION
    except psycopg.OperationalError:
        # The pooler has no session left and waits for us to return ours.
        pass
    return Pooler.SESSION


def _served_by(session: Any) -> int:
    [number] = session.execute("SELECT pg_backend_pid()").fetchone()
    return int(number)
