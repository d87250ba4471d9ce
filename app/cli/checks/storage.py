"""Check that the database exists and has this version's schema."""

import os
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from app.cli.checks.findings import Finding, Level, error, ok, warning
from app.settings.addresses import Pooler
from app.settings.environment import Environment
from app.storage.database import Database
from app.storage.engines import sqlite_path
from app.storage.errors import StorageUnavailable
from app.storage.migrate import head, is_current, is_usable
from app.storage.poolers import look_at
from app.storage.postgres import pooler_of

PLACE = "DATABASE_URL"


def check_storage(environment: Environment) -> Iterator[Finding]:
    """Check the database without creating it."""
    name = make_url(environment.database_url).render_as_string(hide_password=True)
    if environment.is_embedded and not (path := sqlite_path(environment.database_url)).is_file():
        yield _to_be_made(path, name)
        return
    revision = _revision(environment, name)
    yield revision
    if revision.level is not Level.ERROR and not environment.is_embedded:
        yield from _between(environment.database_url)
    if environment.is_embedded:
        yield from _readers(sqlite_path(environment.database_url))


def _to_be_made(path: Path, name: str) -> Finding:
    folder = next(one for one in path.absolute().parents if one.exists())
    if path.exists() or not os.access(folder, os.W_OK | os.X_OK):
        return error(PLACE, f"{name} cannot be made: {folder} is not ours to write to")
    return ok(PLACE, f"{name} is not there yet; `vouch serve` makes it")


def _readers(path: Path) -> Iterator[Finding]:
    """Check that only the owner can read the file. We create it so, but a copy may differ."""
    if path.stat().st_mode & 0o077:
        yield warning(PLACE, f"others can read {path}: chmod 600 {path} and what is named like it")


def _between(url: str) -> Iterator[Finding]:
    """Check that the address names the pooler in front of the server, and check the encoding."""
    said, found = pooler_of(url), look_at(url)
    if found.pooler is Pooler.TRANSACTION is not said:
        yield error(
            PLACE,
            "a pooler in transaction mode is in front of the server: write ?pooler=transaction"
            " behind the database's name, or let it pool by sessions",
        )
    elif said is Pooler.TRANSACTION is not found.pooler:
        yield warning(
            PLACE,
            "it says pooler=transaction, and no pooler in transaction mode is in front of the"
            " server: workers look by themselves instead of being woken",
        )
    elif found.pooler:
        yield ok(PLACE, f"a pooler in {found.pooler} mode is in front of the server")
    if found.encoding != "UTF8":
        yield warning(
            PLACE,
            f"the database's encoding is {found.encoding}: what platforms and people write may"
            " have no place in it, and is answered 503; create one with ENCODING 'UTF8'",
        )


def _revision(environment: Environment, name: str) -> Finding:
    database = Database(environment.database_url, pool_size=1)
    try:
        with database.read() as connection:
            current, usable = is_current(connection), is_usable(connection)
    except (StorageUnavailable, SQLAlchemyError) as failure:
        return error(PLACE, f"{name} does not answer: {failure}")
    finally:
        database.close()
    if current:
        return ok(PLACE, f"{name} is at revision {head()}")
    if usable:
        return warning(PLACE, f"{name} is of a newer version than this one")
    if environment.is_embedded:
        return warning(PLACE, f"{name} is of an older version; `vouch serve` brings it up to date")
    return error(PLACE, f"{name} is not at revision {head()}: run `vouch db upgrade`")
