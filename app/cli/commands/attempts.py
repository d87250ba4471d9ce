"""`vouch attempts`: list, show, follow, replay, cancel and export attempts."""

import json
from collections.abc import Callable
from typing import Any, TextIO

import click

from app.cli.access import Listing, access
from app.cli.attempts_bulk import act_on_many, whole_id
from app.cli.attempts_output import print_attempt, print_attempts
from app.cli.filters import filter_options, given, page_options
from app.cli.groups import Choice, Group
from app.cli.output import json_option, print_json


@click.group(cls=Group)
def command() -> None:
    """List, show, follow, replay, cancel and export the history."""


@command.command("list")
@filter_options
@page_options
@json_option
def list_attempts(as_json: bool, **criteria: Any) -> None:
    """List attempts, newest first."""
    with access() as history:
        page = history.page(Listing.ATTEMPTS, given(criteria))
    if as_json:
        print_json(page)
        return
    print_attempts(page["items"])
    if page["nextCursor"]:
        click.echo(f"There are older ones: --cursor {page['nextCursor']}")


@command.command()
@click.argument("attempt_id", metavar="ID")
@json_option
def show(attempt_id: str, as_json: bool) -> None:
    """Show all that is known of one attempt: its event, its timeline, its submissions.

    The beginning of ID is enough where only one attempt has it.
    """
    with access() as history:
        found = history.one(Listing.ATTEMPTS, whole_id(history, attempt_id))
    if found is None:
        raise click.ClickException(f"no attempt has the id {attempt_id}")
    if as_json:
        print_json(found)
    else:
        print_attempt(found)


@command.command()
@filter_options
@click.option(
    "--every",
    type=click.FloatRange(0.1, 3600),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each.")
def tail(every: float, as_json: bool, **criteria: Any) -> None:
    """Follow new attempts and the newest ones' changes of state, one line for each.

    Ctrl-C ends it.
    """
    from app.cli import following

    with access() as history:
        following.say_that_it_follows()
        try:
            for attempt, step in following.follow(history, given(criteria), every):
                told = json.dumps(following.as_json(attempt, step), default=str)
                click.echo(told if as_json else following.line(attempt, step))
        except KeyboardInterrupt:
            return


def _many(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of an act on named or filtered attempts to a command."""
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
    act_on_many("replay", **asked)


@command.command()
@_many
def cancel(**asked: Any) -> None:
    """Withdraw attempts that are not paid yet: those named, or those filtered.

    Exits 1 when one that was named cannot be cancelled.
    """
    act_on_many("cancel", **asked)


@command.command()
@filter_options
@click.option(
    "--format",
    "written_as",
    type=Choice(["csv", "ndjson"]),
    default="csv",
    show_default=True,
    help="The kind of file.",
)
@click.option("--bom", is_flag=True, help="Begin a CSV with a byte order mark, for Excel.")
@click.option("--output", type=click.File("w", "utf-8"), default="-", help="Default: the screen.")
def export(written_as: str, bom: bool, output: TextIO, **criteria: Any) -> None:
    """Write attempts to a file, newest first, however many there are."""
    wanted = {**given(criteria), "format": written_as, **({"bom": "true"} if bom else {})}
    with access() as history:
        for chunk in history.export(wanted):
            output.write(chunk)
