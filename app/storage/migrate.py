"""Is the database's shape ours, and how does it become so?"""

import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from app.storage.engines import write_engine
from app.storage.vault import Vault

if TYPE_CHECKING:
    from alembic.config import Config

# Any number that nothing else on the server locks: two machines must not migrate at once.
_ADVISORY_LOCK = 7_215_482_003
_REVISION = re.compile(r'^(down_)?revision(?:: [\w |]+)? = "(\w+)"$', re.MULTILINE)


def upgrade(url: str, secret_keys: Sequence[str] = ()) -> None:
    """Bring the database to the newest revision; all of it happens, or nothing does.

    Any number of processes may call it at once: one migrates, the others find it done. The keys
    are needed where personal data of an older version is to be sealed; else it raises `CannotOpen`.
    One that a newer version migrated is left alone, for whoever goes back to this one.
    """
    engine = write_engine(url, vault=Vault(secret_keys))
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                _take_turns(connection)
            if not is_usable(connection):
                _migrate(connection)
    finally:
        engine.dispose()


def _migrate(connection: Connection) -> None:
    # Alembic takes ten megabytes of a process that nearly always has nothing to migrate.
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _take_turns(connection: Connection) -> None:
    """One machine migrates at a time, and as long as it takes: a large table is not a fault.

    A table that somebody else holds is: who waits for it makes everybody wait behind him.
    """
    for setting in ("statement_timeout", "lock_timeout"):
        connection.execute(text(f"SET LOCAL {setting} = 0"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
    connection.execute(text("SET LOCAL lock_timeout = '5s'"))


def is_current(connection: Connection) -> bool:
    """Whether the database is at the newest revision that this code knows."""
    return _revision_of(connection) == head()


def is_usable(connection: Connection) -> bool:
    """Whether this code can work on the database: it is current, or newer than this code.

    While machines are upgraded one by one, the database is the first: every migration is one that
    the version before survives, so that it must not be taken out of service, nor fail to start.
    """
    found = _revision_of(connection)
    return found is not None and (found == head() or found not in _revisions())


def _revision_of(connection: Connection) -> str | None:
    # Asked at every probe of readiness; Alembic's own context would log two lines each time.
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    return found[0] if len(found) == 1 else None


@cache
def head() -> str:
    """The newest revision: the one that no other follows."""
    found = _found()
    followed = {revision for is_followed, revision in found if is_followed}
    [newest] = _revisions() - followed
    return newest


@cache
def _revisions() -> frozenset[str]:
    return frozenset(revision for is_followed, revision in _found() if not is_followed)


def _found() -> list[tuple[str, str]]:
    """Every revision that a migration is, or (first part) follows."""
    return [
        (match[1] or "", match[2])
        for file in (_folder() / "versions").glob("*.py")
        for match in _REVISION.finditer(file.read_text("utf-8"))
    ]


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_folder()))
    config.set_main_option("path_separator", "os")
    return config


def _folder() -> Path:
    """The migrations inside an installed wheel, else those of the checkout."""
    packaged = Path(str(resources.files("app"))) / "_migrations"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "migrations"
