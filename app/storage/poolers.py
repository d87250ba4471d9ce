"""What stands between us and a PostgreSQL server?"""

from contextlib import closing
from dataclasses import dataclass
from typing import Any

from app.settings.addresses import Pooler
from app.storage.postgres import plain_session

_PATIENCE_SECONDS = 3.0
# Others may take a session between two looks of ours.
_LOOKS = 4


@dataclass(frozen=True, slots=True)
class Found:
    """A pooler in front of the server, if there is one, and how the database keeps text."""

    pooler: Pooler | None
    encoding: str


def look_at(url: str) -> Found:
    """Raises the driver's errors."""
    with closing(plain_session(url, _PATIENCE_SECONDS)) as session:
        encoding = session.info.parameter_status("server_encoding") or ""
        # PgBouncer makes up the number that it tells its clients of their session.
        is_direct = session.info.backend_pid == _served_by(session)
        return Found(None if is_direct else _mode(url, session), encoding)


def _mode(url: str, session: Any) -> Pooler:
    """By transaction, the session that served us a moment ago serves the next that comes."""
    import psycopg

    try:
        with closing(plain_session(url, _PATIENCE_SECONDS)) as another:
            for _ in range(_LOOKS):
                if _served_by(session) == _served_by(another):
                    return Pooler.TRANSACTION
    except psycopg.OperationalError:
        # Ours is the last one that it has, and it waits for us to leave it.
        pass
    return Pooler.SESSION


def _served_by(session: Any) -> int:
    [number] = session.execute("SELECT pg_backend_pid()").fetchone()
    return int(number)
