"""`vouch events`: what platforms sent, from a terminal."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import click
from pydantic import ValidationError

from app.cli.database import open_database
from app.cli.output import iso, json_option, print_json, print_labelled, print_table
from app.cli.times import FORMS, moment
from app.schemas.attempts import EventInFull, ListedEvent
from app.schemas.filters import MAX_LIMIT
from app.steps.keys import Role
from app.web.api import events
from app.web.api.events import EventQuery

# Whoever has the database and its keys at hand sees everything.
_AT_THE_DATABASE = Role.ADMIN


@click.group()
def command() -> None:
    """List and show what platforms sent, also what earned nothing, with the reason."""


@command.command("list")
@click.option("--source", help="The source's name.")
@click.option("--action", help="Our word for the action.")
@click.option("--account", "accountId", help="The platform account that acted.")
@click.option("--target", help="What it was done to.")
@click.option("--matched/--unmatched", default=None, help="Only what fitted a rule, or did not.")
@click.option("--from", "from", callback=moment, help=f"Received then or later. {FORMS}.")
@click.option("--to", "to", callback=moment, help="Received before then.")
@click.option("--search", "q", help="An id or its beginning, an event key, a handle.")
@click.option(
    "--limit", type=click.IntRange(1, MAX_LIMIT), default=20, show_default=True, help="How many."
)
@click.option("--cursor", help="The cursor that an earlier page ended with.")
@json_option
def list_events(as_json: bool, **criteria: Any) -> None:
    """List events, newest first."""
    query = _query(criteria)
    with open_database() as database:
        page = events.page(database, query, _AT_THE_DATABASE)
    if as_json:
        print_json(page.model_dump(by_alias=True))
    elif not page.items:
        click.echo("No event is like that.")
    else:
        rows = [_row(one) for one in page.items]
        print_table(list(rows[0]), rows)
        if page.next_cursor:
            click.echo(f"There are older ones: --cursor {page.next_cursor}")


@command.command()
@click.argument("event_id", metavar="ID", type=click.UUID)
@json_option
def show(event_id: UUID, as_json: bool) -> None:
    """Show one event, with what the platform sent."""
    with open_database() as database:
        found = events.in_full(database, str(event_id), _AT_THE_DATABASE)
    if found is None:
        raise click.ClickException(f"no event has the id {event_id}")
    if as_json:
        print_json(found.model_dump(by_alias=True))
    else:
        _print_whole(found)


def _query(criteria: Mapping[str, Any]) -> EventQuery:
    given = {name: value for name, value in criteria.items() if value is not None}
    plain = {n: v.isoformat() if hasattr(v, "isoformat") else v for n, v in given.items()}
    try:
        return EventQuery.model_validate(plain, by_alias=True, by_name=False)
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False, include_context=False)
        wrong = (
            f"--{one['loc'][0]}: {one['msg'].removeprefix('Value error, ')}" for one in details
        )
        raise click.UsageError("\n".join(wrong)) from None


def _row(one: ListedEvent) -> dict[str, Any]:
    return {
        "id": one.id,
        "received": one.received_at,
        "source": one.source,
        "action": f"{one.action} (undone)" if one.undone else one.action,
        "account": one.actor,
        "target": one.target,
        "earned": _earned(one),
    }


def _earned(one: ListedEvent) -> str | None:
    if one.attempts:
        return ", ".join(f"{made.state} ({made.challenge_id})" for made in one.attempts)
    return one.reason


def _print_whole(one: EventInFull) -> None:
    for label, value in (
        ("event", one.id),
        ("source", one.source),
        ("key", one.key),
        ("action", f"{one.action} (undone)" if one.undone else one.action),
        ("account", f"{one.actor} ({one.actor_handle})" if one.actor_handle else one.actor),
        ("target", one.target),
        ("occurred", iso(one.occurred_at)),
        ("received", iso(one.received_at)),
        ("earned", _earned(one)),
    ):
        if value is not None:
            print_labelled(label, value, indent=0, label_width=10)
    if one.payload is not None:
        click.echo(json.dumps(one.payload.content, indent=2))
