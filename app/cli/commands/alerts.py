"""`vouch alerts`: is anything wrong, and does it reach whom it should?"""

import sys

import click

from app.cli.actor import caused_by
from app.cli.database import open_database
from app.cli.output import json_option, print_json, print_table
from app.domain.alerts import AlertKind
from app.domain.clock import new_id, utc_now
from app.outgoing.alert_messages import AlertText, message_for
from app.outgoing.alert_receivers import post
from app.settings.configuration import load_configuration
from app.settings.environment import read_environment
from app.settings.receivers import Receiver
from app.steps import alerts, audit
from app.steps.alerts import What
from app.steps.audit import Change
from app.web.api.alerts import shown

_MOST_LISTED = 100


@click.group()
def command() -> None:
    """Alerts: what is wrong, and whom the configuration's [[receivers]] wake."""


@command.command()
@json_option
def test(as_json: bool) -> None:
    """Send every receiver a test, now, and tell what each answered. Exits 1 if one did not."""
    environment = read_environment()
    receivers = load_configuration(environment.config_path).receivers
    if not receivers:
        raise click.ClickException("the configuration has no [[receivers]]: nobody is ever woken")
    by, names = caused_by(), [receiver.name for receiver in receivers]
    with open_database(environment) as database:
        database.write(
            lambda c: audit.record(c, Change.ALERTS_TESTED, by=by, now=utc_now(), receivers=names)
        )
    answers = {receiver.name: _tested(receiver) for receiver in receivers}
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
    with open_database() as database, database.read_at_one_moment() as connection:
        found = alerts.listing(connection, _MOST_LISTED)
    items = [shown(row) for row in found]
    if as_json:
        print_json({"items": [item.model_dump(by_alias=True) for item in items]})
        return
    if not items:
        click.echo("Nothing was ever wrong, or nobody looked.")
        return
    columns = ("kind", "subject", "raised_at", "cleared_at", "text")
    print_table(columns, [{name: getattr(item, name) for name in columns} for item in items])


def _tested(receiver: Receiver) -> str | None:
    """What went wrong, or None."""
    now = utc_now()
    told = AlertText(
        new_id(now),
        What.RAISED,
        AlertKind.TEST,
        "",
        "a test: `vouch alerts test` was called",
        now,
        now,
    )
    return post(receiver, message_for(receiver, told, now))
