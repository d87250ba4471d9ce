"""Check the revision of the database, and migrate it to the newest."""

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

# Our own table: another application in the same database may use Alembic's default.
VERSION_TABLE = "vouch_version"
# Versions before revision 0014 kept their revision here. It is ours only beside all tables of
# revision 0001: another application's table may hold any revision, even one of our names.
_FORMER_TABLE = "alembic_version"
_TABLES = frozenset(  # of revision 0001
    {
        "api_keys",
        "attempts",
        "awards",
        "events",
        "forwarding",
        "identities",
        "submissions",
        "transitions",
    }
)
# An arbitrary number that nothing else on the server locks: only one machine migrates at a time.
_ADVISORY_LOCK = 7_215_482_003
_REVISION = re.compile(r'^(down_)?revision(?:: [\w |]+)? = "(\w+)"$', re.MULTILINE)


class Occupied(Exception):  # noqa: N818 -- reads as the claim it makes
    """Another application's tables have the names of ours; the text lists them."""


def upgrade(url: str, secret_keys: Sequence[str] = ()) -> None:
    """Migrate the database to the newest revision in one transaction.

    Several processes may call it at once: one migrates, and the others find it done. The keys are
    needed to seal personal data of an older version; it raises `CannotOpen` without them. A
    database of a newer version is left unchanged, so that an older version can run again. Raises
    `Occupied` when another application's tables have our names.
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
    # Alembic takes ten megabytes, and there is rarely anything to migrate.
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    if _revision_of(connection) is None:
        _require_room(connection)
    _take_over(connection)
    command.upgrade(config, "head")


def _require_room(connection: Connection) -> None:
    """Raise `Occupied` when a table of another application has the name of ours."""
    taken = _TABLES.intersection(inspect(connection).get_table_names())
    if taken:
        raise Occupied(
            f"the database has tables called like Vouch's ({', '.join(sorted(taken))}), and none"
            " that says at which revision: use another database, or a schema of its own"
        )


def _take_turns(connection: Connection) -> None:
    """Let one machine migrate at a time, for as long as it needs: large tables take long.

    The wait for a table's lock is bounded, because it makes everybody else wait too.
    """
    for setting in ("statement_timeout", "lock_timeout"):
        connection.execute(text(f"SET LOCAL {setting} = 0"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
    connection.execute(text("SET LOCAL lock_timeout = '5s'"))


def is_current(connection: Connection) -> bool:
    """Whether the database is at the newest revision that this code knows."""
    return _revision_of(connection) == head()


def is_usable(connection: Connection) -> bool:
    """Whether this code can use the database: it is current, or newer than this code.

    In a rolling upgrade the database is migrated first. The previous version runs on every
    migration, so it must stay in service and be able to start.
    """
    found = _revision_of(connection)
    return found is not None and (found == head() or found not in _revisions())


def _revision_of(connection: Connection) -> str | None:
    # Each readiness probe runs this; Alembic's own context would log two lines each time.
    inspector = inspect(connection)
    if inspector.has_table(VERSION_TABLE):
        return _only_revision(connection, VERSION_TABLE)
    if inspector.has_table(_FORMER_TABLE) and _TABLES.issubset(inspector.get_table_names()):
        return _only_revision(connection, _FORMER_TABLE)
    return None


def _only_revision(connection: Connection, table: str) -> str | None:
    statement = text(f"SELECT version_num FROM {table}")  # noqa: S608 -- one of two constants
    found = connection.execute(statement).scalars().all()
    return str(found[0]) if len(found) == 1 else None


def _take_over(connection: Connection) -> None:
    """Record the revision of a database whose revision is in Alembic's default table.

    That table is kept: the previous version may still be running, and reads it.
    """
    found = _revision_of(connection)
    if found is None or inspect(connection).has_table(VERSION_TABLE):
        return
    connection.execute(
        text(
            f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL,"
            f" CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(
        text(f"INSERT INTO {VERSION_TABLE} VALUES (:found)"),  # noqa: S608 -- likewise
        {"found": found},
    )


@cache
def head() -> str:
    """Return the newest revision, which no other follows."""
    found = _found()
    followed = {revision for is_followed, revision in found if is_followed}
    [newest] = _revisions() - followed
    return newest


@cache
def _revisions() -> frozenset[str]:
    return frozenset(revision for is_followed, revision in _found() if not is_followed)


def _found() -> list[tuple[str, str]]:
    """Return the revision and down_revision lines of all migrations."""
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
    config.attributes["version_table"] = VERSION_TABLE
    return config


def _folder() -> Path:
    """Return the migrations of the installed wheel, or else of the checkout."""
    packaged = Path(str(resources.files("app"))) / "_migrations"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "migrations"
