"""How does a command reach the database that the environment names?"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click
from sqlalchemy.exc import SQLAlchemyError

from app.settings.environment import DATABASE, Environment, read_environment
from app.storage import migrate
from app.storage.database import Database
from app.storage.engines import sqlite_path
from app.storage.errors import StorageUnavailable
from app.storage.failures import failure, is_outage
from app.storage.hashes import hashes_if_any
from app.storage.opening import build_database, secret_keys
from app.storage.vault import CannotOpen

_OUTDATED = "the database is not at this version: run `vouch db upgrade`"


@contextmanager
def open_database(
    environment: Environment | None = None, *, must_exist: bool = False
) -> Iterator[Database]:
    """The database, an embedded one brought up to date first; ``must_exist``: none is made."""
    environment = environment or read_environment()
    if must_exist:
        require_there(environment)
    database = build_database(environment)
    try:
        prepare(environment)
        yield database
    except (StorageUnavailable, SQLAlchemyError) as error:
        raise _outdated(database) or _told(error) from None
    except CannotOpen as error:
        raise click.ClickException(str(error)) from None
    finally:
        database.close()


def require_there(environment: Environment) -> None:
    """Refuse to look into an embedded database that nothing has made yet."""
    if not environment.is_embedded:
        return
    with suppress(ValueError):
        path = sqlite_path(environment.database_url)
        if not path.exists():
            raise click.ClickException(no_database(path))


def no_database(path: Path) -> str:
    return (
        f"there is no database at {path.absolute()}: DATABASE_URL says where it is (now"
        f" {'set' if os.environ.get(DATABASE) else 'not set'}); `vouch serve` makes one"
    )


def unanswered(error: Exception) -> click.ClickException:
    reason = str(getattr(error, "orig", error)).strip().splitlines()
    return click.ClickException(f"the database does not answer: {' '.join(reason)}")


def _told(error: Exception) -> Exception:
    """An outage in a line; a fault of ours stays one, with its traceback."""
    is_fault = isinstance(error, SQLAlchemyError) and not is_outage(error)
    return failure(error) if is_fault else unanswered(error)


def prepare(environment: Environment) -> None:
    """Migrate an embedded database; one that a server keeps is the operator's to migrate."""
    if environment.is_embedded:
        upgrade_database(environment)


def upgrade_database(environment: Environment) -> None:
    """Bring the database to this version's shape, and seal what an older version left unsealed."""
    keys = secret_keys(environment) if environment.is_embedded else environment.secret_keys
    try:
        migrate.upgrade(environment.database_url, keys)
    except (CannotOpen, migrate.Occupied) as error:
        raise click.ClickException(str(error)) from None
    except SQLAlchemyError as error:
        raise _told(error) from None


def require_current(database: Database) -> None:
    """Refuse to begin on a database of another version. Raises `StorageUnavailable`, too."""
    try:
        with database.read() as connection:
            if not migrate.is_usable(connection):
                raise click.ClickException(_OUTDATED)
    finally:
        database.close()


def require_keys(database: Database) -> None:
    """Refuse to begin with keys that do not open the database: every event would be refused.

    A database that does not answer now, or is of another version, is for others to complain of.
    """
    try:
        with suppress(StorageUnavailable), database.read() as connection:
            hashes_if_any(connection)
    except CannotOpen as error:
        raise click.ClickException(str(error)) from None
    finally:
        database.close()


def _outdated(database: Database) -> click.ClickException | None:
    """What to say of a database that answers and has not the tables that were asked for."""
    try:
        require_current(database)
    except click.ClickException as error:
        return error
    except StorageUnavailable:
        pass
    return None
