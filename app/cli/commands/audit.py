"""`vouch audit`: who changed what, from a terminal."""

import json
from collections.abc import Mapping
from typing import Any

import click
from pydantic import ValidationError

from app.cli.database import open_database
from app.cli.output import json_option, print_json, print_table
from app.cli.times import FORMS, moment
from app.schemas.filters import MAX_LIMIT
from app.steps import audit
from app.steps.audit import Change
from app.web.api.audit import AuditPage, AuditQuery, paged

_CHANGES = ", ".join(Change)


@click.command()
@click.option("--by", help="The beginning of who did it: key:0a1b2c3d4e5f, cli:, signal:.")
@click.option("--change", help=f"One change, or several with commas between: {_CHANGES}.")
@click.option("--subject", help="An attempt's, a key's or a bulk's id, or platform/account.")
@click.option("--customer", "customerId", help="The customer's id.")
@click.option("--from", "from", callback=moment, help=f"Done then or later. {FORMS}.")
@click.option("--to", "to", callback=moment, help="Done before then.")
@click.option(
    "--limit", type=click.IntRange(1, MAX_LIMIT), default=20, show_default=True, help="How many."
)
@click.option("--cursor", help="The cursor that an earlier page ended with.")
@json_option
def command(as_json: bool, **criteria: Any) -> None:
    """List what people and keys changed, newest first. Entries are only ever added."""
    query = _query(criteria)
    with open_database() as database, database.read() as connection:
        found = audit.page(connection, query.wanted(), query.limit + 1, query.before)
    page = paged(found, query.limit)
    if as_json:
        print_json(page.model_dump(by_alias=True))
    else:
        _tell(page)


def _query(criteria: Mapping[str, Any]) -> AuditQuery:
    given = {name: value for name, value in criteria.items() if value is not None}
    plain = {n: v.isoformat() if hasattr(v, "isoformat") else v for n, v in given.items()}
    try:
        return AuditQuery.model_validate(plain, by_alias=True, by_name=False)
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False, include_context=False)
        told = (f"--{one['loc'][0]}: {one['msg'].removeprefix('Value error, ')}" for one in details)
        raise click.UsageError("\n".join(told)) from None


def _tell(page: AuditPage) -> None:
    if not page.items:
        click.echo("Nothing was changed that is like that.")
        return
    rows = [
        {
            "at": one.at,
            "by": one.by,
            "change": one.change,
            "subject": one.subject,
            "customer": one.customer_id,
            "details": json.dumps(one.details) if one.details else None,
        }
        for one in page.items
    ]
    print_table(list(rows[0]), rows)
    if page.next_cursor:
        click.echo(f"There are older ones: --cursor {page.next_cursor}")
