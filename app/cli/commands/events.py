"""`vouch events`: list and show the events that platforms sent."""

import json
from typing import Any
from uuid import UUID

import click

from app.cli.access import Json, Listing, access
from app.cli.filters import given, page_options
from app.cli.groups import Group
from app.cli.output import clock, json_option, print_json, print_labelled, print_table
from app.cli.output import to_milliseconds as milliseconds
from app.cli.times import FORMS, moment


@click.group(cls=Group)
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
@page_options
@json_option
def list_events(as_json: bool, **criteria: Any) -> None:
    """List events, newest first."""
    with access() as history:
        page = history.page(Listing.EVENTS, given(criteria))
    if as_json:
        print_json(page)
    elif not page["items"]:
        click.echo("No event is like that.")
    else:
        rows = [_row(one) for one in page["items"]]
        print_table(list(rows[0]), rows)
        if page["nextCursor"]:
            click.echo(f"There are older ones: --cursor {page['nextCursor']}")


@command.command()
@click.argument("event_id", metavar="ID", type=click.UUID)
@json_option
def show(event_id: UUID, as_json: bool) -> None:
    """Show one event, with what the platform sent."""
    with access() as history:
        found = history.one(Listing.EVENTS, str(event_id))
    if found is None:
        raise click.ClickException(f"no event has the id {event_id}")
    if as_json:
        print_json(found)
    else:
        _print_whole(found)


def _row(one: Json) -> Json:
    return {
        "id": one["id"],
        "received": clock(one["receivedAt"]),
        "source": one["source"],
        "action": _action(one),
        "account": one["actor"],
        "target": one["target"],
        "earned": _earned(one),
    }


def _action(one: Json) -> str:
    return f"{one['action']} (undone)" if one["undone"] else str(one["action"])


def _earned(one: Json) -> str | None:
    if one["attempts"]:
        return ", ".join(f"{made['state']} ({made['challengeId']})" for made in one["attempts"])
    reason: str | None = one["reason"]
    return reason


def _print_whole(one: Json) -> None:
    handle = f" ({one['actorHandle']})" if one["actorHandle"] else ""
    for label, value in (
        ("event", one["id"]),
        ("source", one["source"]),
        ("key", one["key"]),
        ("action", _action(one)),
        ("account", one["actor"] and one["actor"] + handle),
        ("target", one["target"]),
        ("occurred", milliseconds(one["occurredAt"])),
        ("received", milliseconds(one["receivedAt"])),
        ("earned", _earned(one)),
    ):
        if value is not None:
            print_labelled(label, value, indent=0, label_width=10)
    if one["payload"] is not None:
        click.echo(json.dumps(one["payload"]["content"], indent=2))
