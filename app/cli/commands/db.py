"""`vouch db`: migrate, back up, re-encrypt, copy and restore the database."""

import os
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click
from sqlalchemy import make_url

from app.cli.actor import caused_by
from app.cli.database import open_database, upgrade_database
from app.cli.groups import Group
from app.cli.output import iso, json_option, print_json, print_table
from app.cli.times import FORMS, moment
from app.domain.clock import utc_now
from app.settings.environment import DATABASE, read_environment, secret_keys_path
from app.settings.errors import ConfigurationError
from app.steps.restore import mark_possibly_sent
from app.storage import migrate
from app.storage.backup import CannotBackUp, back_up, made_at, note_moment
from app.storage.copy import CannotCopy, Copied, copy
from app.storage.engines import is_sqlite, sqlite_path
from app.storage.rotation import reseal


@click.group(cls=Group)
def command() -> None:
    """The database."""


@command.command()
def upgrade() -> None:
    """Bring the database to this version's shape. Safe to call at any time, by many at once."""
    environment = read_environment()
    upgrade_database(environment)
    with open_database(environment) as database, database.read() as connection:
        is_ours = migrate.is_current(connection)
    if is_ours:
        click.echo(f"The database is at revision {migrate.head()}.")
    else:
        click.echo("The database is of a newer version than this one, and is left as it is.")


@command.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def backup(file: Path) -> None:
    """Write a checked copy of an SQLite database to FILE, while the service goes on.

    For PostgreSQL take pg_dump. How to restore either is in docs/operations.md.
    """
    environment = read_environment()
    if not environment.is_embedded:
        raise click.ClickException("this is for SQLite; take pg_dump for PostgreSQL")
    database = sqlite_path(environment.database_url)
    try:
        size = back_up(database, file, utc_now())
    except CannotBackUp as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{file}: {size} bytes, checked.")
    keys = secret_keys_path(database)
    if environment.secret_keys:
        click.echo("Keep VOUCH_SECRET_KEYS too, elsewhere: without it, what is sealed stays so.")
    elif keys.is_file():
        click.echo(f"Keep {keys} too, elsewhere: without it, what is sealed stays so.")


@command.command()
@json_option
def reencrypt(as_json: bool) -> None:
    """Seal everything with the newest of VOUCH_SECRET_KEYS, while the service goes on.

    Afterwards the older keys are needed no more: `vouch check` says so. Cut off, it can be called
    again.
    """

    def told(table: str, rows: int) -> None:
        if not as_json:
            click.echo(f"{table}: {rows} rows", err=True)

    with open_database() as database:
        resealed = reseal(database, told)
    if as_json:
        print_json({"resealed": resealed})
    else:
        click.echo(
            f"{resealed} values were sealed with an older key or with none; no value is now."
        )


@command.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option(
    "--while-in-use",
    is_flag=True,
    help="Copy one moment's state although others are connected, as for a rehearsal.",
)
@json_option
def copy_all(source: str, target: str, while_in_use: bool, as_json: bool) -> None:
    """Move an installation to another database: FROM stays as it is, TO must be empty.

    Each is a database's URL, or env:NAME or file:PATH where that stands. Stop the service
    first. All is copied, read back and compared, or nothing is there.
    """
    from_url, to_url = _url(source), _url(target)

    def told(copied: Copied) -> None:
        if not as_json:
            click.echo(f"{copied.table}: {copied.rows} rows", err=True)

    try:
        done = copy(from_url, to_url, while_in_use=while_in_use, on_table=told)
    except CannotCopy as error:
        raise click.ClickException(str(error)) from None
    rows = [asdict(one) for one in done]
    if as_json:
        print_json(rows)
        return
    print_table(("table", "rows", "checksum"), rows)
    for line in _next_steps(from_url, to_url):
        click.echo(line)


@command.command()
@click.option(
    "--to",
    "since",
    metavar="TIME",
    callback=moment,
    help="The moment that it is at now, rather too early than too late. Default: when"
    f" `vouch db backup` made it. {FORMS}.",
)
def restored(since: datetime | None) -> None:
    """After restoring an older backup: look at Gameball before sending what was still owed.

    Run it before the service starts. Gameball may have granted rewards that the older
    database does not know of; see docs/operations.md for what else was lost.
    """
    environment = read_environment()
    backup_of = sqlite_path(environment.database_url) if environment.is_embedded else None
    since = since or _moment_of(backup_of)
    # A grant before this moment does not count as an attempt's own. A moment that is too late
    # would therefore pay twice.
    if since > utc_now():
        raise click.BadParameter(f"{iso(since)} is yet to come", param_hint="--to")
    with open_database(environment, must_exist=True) as database:
        by = caused_by()
        count = database.write(
            lambda connection: mark_possibly_sent(connection, since, by, utc_now())
        )
    if backup_of is not None:
        # Otherwise a later copy of these files by other means would still contain the moment.
        note_moment(backup_of, None)
    click.echo(
        f"{count} attempts may have been sent since {iso(since)}: they will be looked up at "
        "Gameball before they are sent."
    )


def _moment_of(backup: Path | None) -> datetime:
    if backup is None:
        raise click.UsageError("--to: say when the dump was made; only `vouch db backup` notes it")
    found = made_at(backup) if backup.is_file() else None
    if found is None:
        told = "this database is not from `vouch db backup`, or was marked already"
        raise click.UsageError(f"--to: say when the copy was made: {told}")
    return found


def _url(argument: str) -> str:
    """Return the database URL that an argument names, in the form of our driver."""
    if argument.startswith("env:"):
        return _read({DATABASE: os.environ.get(argument.removeprefix("env:"), "")}, argument)
    if argument.startswith("file:"):
        return _read({f"{DATABASE}_FILE": argument.removeprefix("file:")}, argument)
    return _read({DATABASE: argument}, "the argument")


def _read(variables: dict[str, str], said: str) -> str:
    if not any(variables.values()):
        raise click.UsageError(f"{said} names no database")
    try:
        return read_environment(variables).database_url
    except ConfigurationError as error:
        raise click.UsageError(f"{said} {error.mistakes[0].problem}") from None


def _next_steps(from_url: str, to_url: str) -> list[str]:
    shown = make_url(to_url).render_as_string(hide_password=True).replace("+psycopg", "")
    steps = ["", "Every row was read back and compared. Next:", f"  set DATABASE_URL to {shown}"]
    keys = secret_keys_path(sqlite_path(from_url)) if is_sqlite(from_url) else None
    # If VOUCH_SECRET_KEYS is set, a key file from earlier does not contain those keys.
    if not read_environment().secret_keys and keys is not None and keys.is_file():
        steps.append(f"  set VOUCH_SECRET_KEYS to what is in {keys}, on every machine")
    else:
        steps.append("  keep VOUCH_SECRET_KEYS set: what is sealed in the database needs it")
    return [*steps, "  start the service; keep the old database until you trust the new one"]
