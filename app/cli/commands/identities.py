"""`vouch identities`: link accounts to customers."""

from typing import Any

import click

from app.cli.access import Listing, access
from app.cli.groups import Group
from app.cli.output import clock, json_option, print_json, print_table


@click.group(cls=Group)
def command() -> None:
    """Link accounts to customers, list them, unlink them."""


@command.command()
@click.argument("platform")
@click.argument("accountId", metavar="ACCOUNT")
@click.argument("customerId", metavar="CUSTOMER")
@click.option("--handle", help="The name that the account goes by.")
@click.option("--email", help="For Gameball, if it does not know the customer.")
@click.option("--mobile", help="Likewise.")
@json_option
def link(platform: str, accountid: str, customerid: str, as_json: bool, **known: Any) -> None:
    """Link ACCOUNT of PLATFORM to CUSTOMER, and release what waited for it.

    It replaces what was known of the account. One that is linked to another customer is left as it
    is: unlink it first.
    """
    known_now = {name: value for name, value in known.items() if value is not None}
    customer = {"customerId": customerid, **known_now}
    with access() as history:
        linked = history.link(platform, accountid, customer)
    if as_json:
        print_json(linked)
        return
    released = linked["releasedAttempts"]
    words = f"; {released} attempt{'' if released == 1 else 's'} had waited for it"
    click.echo(f"{platform}/{accountid} is {customerid}'s{words if released else ''}.")


@command.command("list")
@click.option("--customer", "customerId", required=True, help="The customer's id.")
@json_option
def list_identities(as_json: bool, **criteria: str) -> None:
    """List the accounts of a customer."""
    with access() as history:
        page = history.page(Listing.IDENTITIES, criteria)
    if as_json:
        print_json(page)
    elif not page["items"]:
        click.echo("No account is linked to this customer.")
    else:
        columns = ("platform", "accountId", "handle", "email", "mobile")
        rows = [{**one, "linked": clock(one["createdAt"])} for one in page["items"]]
        print_table((*columns, "linked"), rows)


@command.command()
@click.argument("platform")
@click.argument("account", metavar="ACCOUNT")
def unlink(platform: str, account: str) -> None:
    """Forget whose ACCOUNT of PLATFORM is. What it earned stays, and is not earned again."""
    with access() as history:
        is_done = history.unlink(platform, account)
    if not is_done:
        raise click.ClickException(f"nobody is linked to {platform}/{account}")
    click.echo(f"{platform}/{account} is linked to nobody now.")
