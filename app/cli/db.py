"""`vouch db`: the database's shape."""

import click
from sqlalchemy.exc import SQLAlchemyError

from app.cli.database import unanswered
from app.settings.environment import read_environment
from app.storage import migrate


@click.group()
def command() -> None:
    """The database."""


@command.command()
def upgrade() -> None:
    """Bring the database to this version's shape. Safe to call at any time, by many at once."""
    try:
        migrate.upgrade(read_environment().database_url)
    except SQLAlchemyError as error:
        raise unanswered(error) from None
    click.echo(f"The database is at revision {migrate.head()}.")
