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

# Ours alone: another application in the same database may keep its own in Alembic's.
VERSION_TABLE = "vouch_version"
# Where versions before revision 0014 kept it. Only beside all the tables that each of them has is
# it ours; a stranger's may hold any revision, also one that is called like one of ours.
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
# Any number that nothing else on the server locks: two machines must not migrate at once.
_ADVISORY_LOCK = 7_215_482_003
_REVISION = re.compile(r'^(down_)?revision(?:: [\w |]+)? = "(\w+)"$', re.MULTILINE)


class Occupied(Exception):  # noqa: N818 -- reads as the claim it makes
    """Tables of another application are in the way of ours; the text names them."""


def upgrade(url: str, secret_keys: Sequence[str] = ()) -> None:
    """Bring the database to the newest revision; all of it happens, or nothing does.

    Any number of processes may call it at once: one migrates, the others find it done. The keys
    are needed where personal data of an older version is to be sealed; else it raises `CannotOpen`.
    One that a newer version migrated is left alone, for whoever goes back to this one. Raises
    `Occupied` where another application has tables that are called like ours.
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
    if _revision_of(connection) is None:
        _require_room(connection)
    _take_over(connection)
    command.upgrade(config, "head")


def _require_room(connection: Connection) -> None:
    """Another application's tables may be there, but none that is called like one of ours."""
    taken = _TABLES.intersection(inspect(connection).get_table_names())
    if taken:
        raise Occupied(
            f"the database has tables called like Vouch's ({', '.join(sorted(taken))}), and none"
            " that says at which revision: use another database, or a schema of its own"
        )


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
    """Note the revision of a database that a version made which kept it in Alembic's table.

    That table stays as it is: the version before may be running still, and reads it.
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
    config.attributes["version_table"] = VERSION_TABLE
    return config


def _folder() -> Path:
    """The migrations inside an installed wheel, else those of the checkout."""
    packaged = Path(str(resources.files("app"))) / "_migrations"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "migrations"
