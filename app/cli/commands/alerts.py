"""`vouch alerts`: list alerts and test the receivers."""

import sys
from typing import TYPE_CHECKING

import click

from app.cli.access import Listing, access, wanted_service
from app.cli.groups import Group
from app.cli.output import clock, json_option, print_json, print_table

if TYPE_CHECKING:
    from app.settings.receivers import Receiver


@click.group(cls=Group)
def command() -> None:
    """Alerts: what is wrong, and whom the configuration's [[receivers]] wake."""


@command.command()
@json_option
def test(as_json: bool) -> None:
    """Send every receiver a test, now, and tell what each answered. Exits 1 if one did not.

    From this machine, with its configuration; not over --url.
    """
    if wanted_service() is not None:
        raise click.UsageError("the receivers are tested where the configuration is, not by --url")
    answers = _test_all()
    if as_json:
        print_json({name: problem or "sent" for name, problem in answers.items()})
    else:
        for name, problem in answers.items():
            click.echo(f"{name}: {problem or 'sent'}")
    sys.exit(1 if any(answers.values()) else 0)


@command.command("list")
@json_option
def list_alerts(as_json: bool) -> None:
    """List what is wrong, then what was, each newest first."""
    with access() as history:
        page = history.page(Listing.ALERTS, {})
    if as_json:
        print_json({"items": page["items"]})
        return
    if not page["items"]:
        click.echo("Nothing was ever wrong, or nobody looked.")
        return
    rows = [
        {
            "kind": one["kind"],
            "subject": one["subject"],
            "raised": clock(one["raisedAt"]),
            "cleared": one["clearedAt"] and clock(one["clearedAt"]),
            "text": one["text"],
        }
        for one in page["items"]
    ]
    print_table(list(rows[0]), rows)


def _test_all() -> dict[str, str | None]:
    """Return the problem with each receiver, or None."""
    from app.cli.actor import caused_by
    from app.cli.database import open_database
    from app.domain.clock import utc_now
    from app.settings.configuration import load_configuration
    from app.settings.environment import read_environment
    from app.steps import audit
    from app.steps.audit import Change

    environment = read_environment()
    receivers = load_configuration(environment.config_path).receivers
    if not receivers:
        raise click.ClickException("the configuration has no [[receivers]]: nobody is ever woken")
    by, names = caused_by(), [receiver.name for receiver in receivers]
    with open_database(environment) as database:
        database.write(
            lambda c: audit.record(c, Change.ALERTS_TESTED, by=by, now=utc_now(), receivers=names)
        )
    return {receiver.name: _test_one(receiver) for receiver in receivers}


def _test_one(receiver: "Receiver") -> str | None:
    from app.domain.alerts import AlertKind
    from app.domain.clock import new_id, utc_now
    from app.outgoing.alert_messages import AlertText, message_for
    from app.outgoing.alert_receivers import post
    from app.steps.alerts import What

    now = utc_now()
    told = AlertText(
        id=new_id(now),
        what=What.RAISED,
        kind=AlertKind.TEST,
        subject="",
        text="a test: `vouch alerts test` was called",
        raised_at=now,
        cleared_at=now,
    )
    return post(receiver, message_for(receiver, told, now))
