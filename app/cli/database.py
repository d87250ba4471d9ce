"""Open and migrate the database that the environment names."""

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
    """Open the database. An embedded one is migrated first. ``must_exist``: do not create it."""
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
    """Raise `click.ClickException` if an embedded database does not exist."""
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
    """Return a short message for an outage. A bug of ours keeps its traceback."""
    is_fault = isinstance(error, SQLAlchemyError) and not is_outage(error)
    return failure(error) if is_fault else unanswered(error)


def prepare(environment: Environment) -> None:
    """Migrate an embedded database. On a server, the operator runs the migration."""
    if environment.is_embedded:
        upgrade_database(environment)


def upgrade_database(environment: Environment) -> None:
    """Migrate the database, and seal values that an older version stored in clear text."""
    keys = secret_keys(environment) if environment.is_embedded else environment.secret_keys
    try:
        migrate.upgrade(environment.database_url, keys)
    except (CannotOpen, migrate.Occupied) as error:
        raise click.ClickException(str(error)) from None
    except SQLAlchemyError as error:
        raise _told(error) from None


def require_current(database: Database) -> None:
    """Raise `click.ClickException` if the database has another version.

    Raises `StorageUnavailable` if it does not answer.
    """
    try:
        with database.read() as connection:
            if not migrate.is_usable(connection):
                raise click.ClickException(_OUTDATED)
    finally:
        database.close()


def require_keys(database: Database) -> None:
    """Raise `click.ClickException` if the secret keys do not open the database.

    With such keys the service would refuse every event. This does not report a database that does
    not answer or has another version.
    """
    try:
        with suppress(StorageUnavailable), database.read() as connection:
            hashes_if_any(connection)
    except CannotOpen as error:
        raise click.ClickException(str(error)) from None
    finally:
        database.close()


def _outdated(database: Database) -> click.ClickException | None:
    """Return an error if the database answers but has another version."""
    try:
        require_current(database)
    except click.ClickException as error:
        return error
    except StorageUnavailable:
        pass
    return None
