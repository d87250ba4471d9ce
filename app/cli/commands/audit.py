"""`vouch audit`: list the entries of the audit log."""

import json
from typing import Any

import click

from app.cli.access import Json, Listing, access
from app.cli.filters import given, page_options
from app.cli.output import clock, json_option, print_json, print_table
from app.cli.times import FORMS, moment


@click.command()
@click.option("--by", help="The beginning of who did it: key:0a1b2c3d4e5f, cli:, signal:.")
@click.option(
    "--change", help="One change, or several with commas between: key.created,key.revoked."
)
@click.option("--subject", help="An attempt's, a key's or a bulk's id, or platform/account.")
@click.option("--customer", "customerId", help="The customer's id.")
@click.option("--from", "from", callback=moment, help=f"Done then or later. {FORMS}.")
@click.option("--to", "to", callback=moment, help="Done before then.")
@page_options
@json_option
def command(as_json: bool, **criteria: Any) -> None:
    """List what people and keys changed, newest first. Entries are only ever added."""
    with access() as history:
        page = history.page(Listing.AUDIT, given(criteria))
    if as_json:
        print_json(page)
    else:
        _tell(page)


def _tell(page: Json) -> None:
    if not page["items"]:
        click.echo("Nothing was changed that is like that.")
        return
    rows = [
        {
            "at": clock(one["at"]),
            "by": one["by"],
            "change": one["change"],
            "subject": one["subject"],
            "customer": one["customerId"],
            "details": json.dumps(one["details"]) if one["details"] else None,
        }
        for one in page["items"]
    ]
    print_table(list(rows[0]), rows)
    if page["nextCursor"]:
        click.echo(f"There are older ones: --cursor {page['nextCursor']}")
