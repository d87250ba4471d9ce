"""`vouch attempts`: the history from a terminal."""

import getpass
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TextIO

import click

from app.cli.attempts_told import tell_attempts, tell_whole
from app.cli.database import open_database
from app.cli.filters import filter_options, wanted_filter, wanted_page
from app.cli.output import json_option, print_json
from app.domain.attempts import REPLAYABLE
from app.domain.clock import utc_now
from app.steps import history, people
from app.steps.history import Filter
from app.storage.database import Database
from app.web import shown
from app.web.attempts import REPLAYED_AT_ONCE
from app.web.export import Format, chunks
from app.web.filters import MAX_LIMIT, cursor_after
from app.web.shapes import Shape


@click.group()
def command() -> None:
    """List, show, replay and export the history."""


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
        found = history.page(connection, page.wanted(), page.limit + 1, page.cursor)
    items = [shown.attempt(row) for row in found[: page.limit]]
    cursor = cursor_after(items[-1].id) if len(found) > page.limit else None
    if as_json:
        print_json({"items": [_json(item) for item in items], "nextCursor": cursor})
    else:
        tell_attempts(items)
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
        whole_id = _whole_id(database, attempt_id)
        with database.read() as connection:
            whole = history.in_full(connection, whole_id)
    if whole is None:
        raise click.ClickException(f"no attempt has the id {attempt_id}")
    found = shown.attempt_in_full(whole)
    if as_json:
        print_json(_json(found))
    else:
        tell_whole(found)


@command.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@filter_options
@click.option("--all", "is_all", is_flag=True, help="Without a filter: every one that can be.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def replay(
    ids: Sequence[str], is_all: bool, dry_run: bool, yes: bool, as_json: bool, **criteria: Any
) -> None:
    """Owe attempts to Gameball again, with a fresh schedule: those named, or those filtered.

    Only dead, not granted and unconfirmed ones can be replayed. Exits 1 when one that was named
    cannot.
    """
    wanted = wanted_filter(criteria)
    if sum((bool(ids), not wanted.is_empty, is_all)) != 1:
        raise click.UsageError("name attempts, or filter them, or say --all")
    with open_database() as database:
        if ids:
            outcome = _replay_named(database, ids, is_dry=dry_run)
        else:
            outcome = _replay_filtered(database, _replayable(wanted), is_dry=dry_run, is_sure=yes)
    if as_json:
        print_json(outcome)
    else:
        _tell_outcome(outcome, is_dry=dry_run)
    sys.exit(1 if outcome["refused"] else 0)


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
@click.option("--output", type=click.File("w", "utf-8"), default="-", help="Default: the screen.")
def export(written_as: str, output: TextIO, **criteria: Any) -> None:
    """Write attempts to a file, newest first, however many there are."""
    wanted = wanted_filter(criteria)
    with open_database() as database:
        for chunk in chunks(Format(written_as), history.pages(database, wanted)):
            output.write(chunk)


def _json(shape: Shape) -> dict[str, Any]:
    return shape.model_dump(mode="json", by_alias=True)


def _whole_id(database: Database, beginning: str) -> str:
    """The only attempt whose id begins so. Raises `click.ClickException`."""
    with database.read() as connection:
        found = history.page(connection, Filter(q=beginning), MAX_LIMIT)
    ids = [row.id for row in found if row.id.startswith(beginning.lower())]
    if not ids:
        raise click.ClickException(f"no attempt has the id {beginning} (8 digits are enough)")
    if len(ids) > 1:
        raise click.ClickException(f"more than one attempt has it: {', '.join(ids)}")
    return str(ids[0])


def _replayable(wanted: Filter) -> Filter:
    """The same, among the states that can be replayed. Raises `click.UsageError` for others."""
    final = [state for state in wanted.states if state not in REPLAYABLE]
    if final:
        raise click.UsageError(f"--state: cannot be replayed: {', '.join(final)}")
    return replace(wanted, states=wanted.states or tuple(sorted(REPLAYABLE)))


def _replay_named(database: Database, ids: Sequence[str], *, is_dry: bool) -> dict[str, Any]:
    whole_ids = [_whole_id(database, one) for one in ids]
    reasons = {} if is_dry else {one: _replay_one(database, one) for one in whole_ids}
    refused = {one: reason for one, reason in reasons.items() if reason}
    return {
        "matched": len(whole_ids),
        "replayed": len(reasons) - len(refused),
        "refused": refused,
    }


def _replay_one(database: Database, attempt_id: str) -> str | None:
    """Replay an attempt; why it could not be, or None."""
    by = _caused_by()
    try:
        database.write(lambda c: people.replay(c, attempt_id, by, utc_now()))
    except people.NotAllowed as refusal:
        return str(refusal)
    return None


def _replay_filtered(
    database: Database, wanted: Filter, *, is_dry: bool, is_sure: bool
) -> dict[str, Any]:
    with database.read() as connection:
        matched = history.count(connection, wanted)
    if not is_dry and matched and not is_sure:
        click.confirm(f"Replay {matched} attempts?", abort=True, err=True)
    pages = () if is_dry else history.pages(database, wanted, REPLAYED_AT_ONCE)
    replayed = sum(_replay_page(database, [row.id for row in page]) for page in pages)
    return {"matched": matched, "replayed": replayed, "refused": {}}


def _replay_page(database: Database, ids: Sequence[str]) -> int:
    by = _caused_by()
    return database.write(lambda c: people.replay_each(c, ids, by, utc_now()))


def _tell_outcome(outcome: Mapping[str, Any], *, is_dry: bool) -> None:
    if is_dry:
        click.echo(f"{outcome['matched']} attempts would be replayed.")
        return
    click.echo(f"{outcome['replayed']} of {outcome['matched']} attempts are due again.")
    for attempt_id, reason in outcome["refused"].items():
        click.echo(f"{attempt_id}: {reason}", err=True)


def _caused_by() -> str:
    """Who is at the terminal, for the timeline; in a container there may be no name."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError, ImportError):
        return "cli"
