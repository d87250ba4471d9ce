"""`vouch attempts`: the history from a terminal."""

from collections.abc import Callable
from typing import Any, TextIO

import click

from app.cli.actor import AT_THE_DATABASE
from app.cli.attempts_bulk import act_on_many, whole_id
from app.cli.attempts_output import print_attempt, print_attempts
from app.cli.database import open_database
from app.cli.filters import filter_options, wanted_filter, wanted_page
from app.cli.output import json_option, print_json
from app.schemas import attempts
from app.schemas.export import Format, chunks
from app.schemas.fields import Schema
from app.schemas.filters import MAX_LIMIT, cursor_after
from app.steps import history
from app.steps.operator_actions import OperatorAction


@click.group()
def command() -> None:
    """List, show, replay, cancel and export the history."""


@command.command("list")
@filter_options
@click.option(
    "--limit", type=click.IntRange(1, MAX_LIMIT), default=20, show_default=True, help="How many."
)
@click.option("--cursor", help="The cursor that an earlier page ended with.")
@json_option
def list_attempts(as_json: bool, **criteria: Any) -> None:
    """List attempts, newest first."""
    page = wanted_page(criteria)
    with open_database() as database, database.read() as connection:
        found = history.page(connection, page.wanted(AT_THE_DATABASE), page.limit + 1, page.cursor)
    items = [attempts.attempt(row, AT_THE_DATABASE) for row in found[: page.limit]]
    cursor = cursor_after(items[-1].id) if len(found) > page.limit else None
    if as_json:
        print_json({"items": [_json(item) for item in items], "nextCursor": cursor})
    else:
        print_attempts(items)
        if cursor:
            click.echo(f"There are older ones: --cursor {cursor}")


@command.command()
@click.argument("attempt_id", metavar="ID")
@json_option
def show(attempt_id: str, as_json: bool) -> None:
    """Show all that is known of one attempt: its event, its timeline, its submissions.

    The beginning of ID is enough where only one attempt has it.
    """
    with open_database() as database:
        found_id = whole_id(database, attempt_id)
        with database.read_at_one_moment() as connection:
            whole = history.in_full(connection, found_id)
    if whole is None:
        raise click.ClickException(f"no attempt has the id {attempt_id}")
    found = attempts.attempt_in_full(whole, AT_THE_DATABASE)
    if as_json:
        print_json(_json(found))
    else:
        print_attempt(found)


def _many(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of an act on named attempts, or on all that a filter means."""
    for option in (
        json_option,
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option("--dry-run", is_flag=True, help="Only count."),
        click.option("--all", "is_all", is_flag=True, help="Without a filter: all that can be."),
        filter_options,
        click.argument("ids", nargs=-1, metavar="[ID]..."),
    ):
        command = option(command)
    return command


@command.command()
@_many
def replay(**asked: Any) -> None:
    """Owe attempts to Gameball again, with a fresh schedule: those named, or those filtered.

    Only dead, not granted and unconfirmed ones can be replayed. Exits 1 when one that was named
    cannot.
    """
    act_on_many(OperatorAction.REPLAY, **asked)


@command.command()
@_many
def cancel(**asked: Any) -> None:
    """Withdraw attempts that are not paid yet: those named, or those filtered.

    Exits 1 when one that was named cannot be cancelled.
    """
    act_on_many(OperatorAction.CANCEL, **asked)


@command.command()
@filter_options
@click.option(
    "--format",
    "written_as",
    type=click.Choice([each.value for each in Format]),
    default=Format.CSV.value,
    show_default=True,
    help="The kind of file.",
)
@click.option("--bom", is_flag=True, help="Begin a CSV with a byte order mark, for Excel.")
@click.option("--output", type=click.File("w", "utf-8"), default="-", help="Default: the screen.")
def export(written_as: str, bom: bool, output: TextIO, **criteria: Any) -> None:
    """Write attempts to a file, newest first, however many there are."""
    wanted = wanted_filter(criteria)
    with open_database() as database:
        pages = history.pages(database, wanted)
        for chunk in chunks(Format(written_as), pages, AT_THE_DATABASE, for_excel=bom):
            output.write(chunk)


def _json(shape: Schema) -> dict[str, Any]:
    return shape.model_dump(by_alias=True)
