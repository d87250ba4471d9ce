"""`vouch keys`: create, list and revoke API keys."""

from typing import Any

import click

from app.cli.actor import caused_by
from app.cli.groups import Choice, Group, did_you_mean
from app.cli.output import json_option, print_json, print_table
from app.domain.clock import utc_now
from app.domain.roles import Role
from app.domain.texts import is_blank, is_written
from app.settings.environment import read_environment
from app.storage import plain

# The longest name that PostgreSQL accepts. SQLite accepts longer names, but they could not be
# copied to PostgreSQL.
_LONGEST_NAME = 255
# The query of `app.steps.keys.listing`.
_STATEMENT = "SELECT id, name, role, created_at, revoked_at FROM api_keys ORDER BY created_at, id"


def _one_line(_context: click.Context, _option: click.Parameter, name: str) -> str:
    if is_blank(name) or not is_written(name) or len(name) > _LONGEST_NAME:
        raise click.BadParameter(f"1 to {_LONGEST_NAME} characters of one line")
    return name


@click.group(cls=Group)
def command() -> None:
    """API keys: created, listed, revoked. Only a digest of a key is kept."""


@command.command()
@click.option(
    "--role",
    type=Choice([role.value for role in Role]),
    required=True,
    help="What it may do: link and mint, read, act, or everything.",
)
@click.option(
    "--name", required=True, callback=_one_line, help="Who will hold it; timelines name it."
)
@json_option
def create(role: str, name: str, as_json: bool) -> None:
    """Create a key and print it, this once."""
    from app.cli.database import open_database
    from app.steps import keys

    with open_database() as database:
        by = caused_by()
        key_id, key = database.write(lambda c: keys.create(c, Role(role), name, utc_now(), by))
    if as_json:
        print_json({"id": key_id, "role": role, "name": name, "key": key})
        return
    click.echo(f"The key {key_id} ({role}, {name}). It is shown only now:")
    click.echo(key)


@command.command("list")
@json_option
def list_keys(as_json: bool) -> None:
    """List the keys, the revoked ones included."""
    rows = _listed()
    if as_json:
        names = {"created_at": "createdAt", "revoked_at": "revokedAt"}
        print_json([{names.get(key, key): row[key] for key in row} for row in rows])
        return
    print_table(("id", "role", "name", "created_at", "revoked_at"), rows)


@command.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """Refuse a key from now on."""
    from app.cli.database import open_database
    from app.steps import keys

    with open_database(must_exist=True) as database:
        by = caused_by()
        if not database.write(lambda c: keys.revoke(c, key_id, utc_now(), by)):
            in_use = [row["id"] for row in _listed() if row["revoked_at"] is None]
            hint = did_you_mean(key_id, in_use)
            raise click.ClickException(f"no key in use has the id {key_id}.{hint}")
    click.echo(f"The key {key_id} is revoked.")


def _listed() -> list[dict[str, Any]]:
    """Return the keys, oldest first. Reads an embedded database without importing SQLAlchemy."""
    environment = read_environment()
    path = plain.plain_path(environment.database_url)
    if path is not None and path.is_file():
        found = plain.rows(path, _STATEMENT)
        if found is not None:
            times = ("created_at", "revoked_at")
            return [{**row, **{name: plain.moment(row[name]) for name in times}} for row in found]

    from app.cli.database import open_database
    from app.steps import keys

    with open_database(environment, must_exist=True) as database, database.read() as connection:
        return [dict(row._mapping) for row in keys.listing(connection)]
