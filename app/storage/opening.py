"""Open the database that the environment names, with the keys that belong to it."""

from pathlib import Path

from app.settings.environment import Environment, embedded_secret_keys, secret_keys_path
from app.settings.errors import ConfigurationError, Mistake
from app.storage.database import Database
from app.storage.engines import sqlite_path


def build_database(environment: Environment) -> Database:
    """Without secret keys, a shared database can still do what needs none."""
    keys = secret_keys(environment) if environment.is_embedded else environment.secret_keys
    return Database(environment.database_url, secret_keys=keys)


def secret_keys(environment: Environment) -> tuple[str, ...]:
    """The keys in use; beside an embedded database they are made. Raises `ConfigurationError`."""
    if environment.secret_keys:
        return environment.secret_keys
    if environment.is_embedded:
        path = _embedded_path(environment)
        path.parent.mkdir(parents=True, exist_ok=True)
        return embedded_secret_keys(path)
    problem = "must be set when the database is shared: every machine needs the same keys"
    raise ConfigurationError([Mistake("VOUCH_SECRET_KEYS", problem)])


def known_secret_keys(environment: Environment) -> tuple[str, ...]:
    """As `secret_keys`, but nothing is made and nothing missing is a mistake."""
    if environment.secret_keys or not environment.is_embedded:
        return environment.secret_keys
    path = _embedded_path(environment)
    return embedded_secret_keys(path) if secret_keys_path(path).is_file() else ()


def _embedded_path(environment: Environment) -> Path:
    try:
        return sqlite_path(environment.database_url)
    except ValueError as error:
        raise ConfigurationError([Mistake("DATABASE_URL", str(error))]) from None
