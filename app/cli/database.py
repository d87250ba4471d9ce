"""How does a command reach the database that the environment names?"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click
from sqlalchemy.exc import SQLAlchemyError

from app.service import build_database, secret_keys
from app.settings.environment import Environment, read_environment
from app.storage import migrate
from app.storage.database import Database
from app.storage.errors import StorageUnavailable
from app.storage.hashes import hashes_if_any
from app.storage.vault import CannotOpen


@contextmanager
def open_database(environment: Environment | None = None) -> Iterator[Database]:
    """The database, an embedded one brought up to date first."""
    environment = environment or read_environment()
    database = build_database(environment)
    try:
        prepare(environment)
        yield database
    except (StorageUnavailable, SQLAlchemyError) as error:
        raise unanswered(error) from None
    except CannotOpen as error:
        raise click.ClickException(str(error)) from None
    finally:
        database.close()


def unanswered(error: Exception) -> click.ClickException:
    reason = str(getattr(error, "orig", error)).strip().splitlines()
    return click.ClickException(f"the database does not answer: {' '.join(reason)}")


def prepare(environment: Environment) -> None:
    """Migrate an embedded database; one that a server keeps is the operator's to migrate."""
    if environment.is_embedded:
        upgrade_database(environment)


def upgrade_database(environment: Environment) -> None:
    """Bring the database to this version's shape, and seal what an older version left unsealed."""
    keys = secret_keys(environment) if environment.is_embedded else environment.secret_keys
    try:
        migrate.upgrade(environment.database_url, keys)
    except CannotOpen as error:
        raise click.ClickException(str(error)) from None


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
