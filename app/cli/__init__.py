"""The `vouch` command line."""

import gc
import sys
from collections.abc import Mapping
from typing import Any

import click

from app import __version__
from app.cli.groups import Lazy, LazyGroup
from app.cli.streams import hold_standard_streams
from app.settings.errors import ConfigurationError

# Each command is imported when it is called, so that others do not wait for the web server's
# imports. The summaries repeat the first lines of the help texts; a test compares them.
COMMANDS: Mapping[str, Lazy] = {
    "demo": Lazy("app.cli.demo", "See everything work on this machine; no account is needed."),
    "init": Lazy("app.cli.commands.init", "Write a first configuration, by asking."),
    "serve": Lazy(
        "app.cli.commands.serve", "Serve callbacks, claims and the API; on SQLite with the worker."
    ),
    "work": Lazy("app.cli.commands.work", "Forward what is due, over one shared database."),
    "db": Lazy("app.cli.commands.db", "The database."),
    "check": Lazy("app.cli.commands.check", "Check configuration, secrets, database and Gameball."),
    "keys": Lazy("app.cli.commands.keys", "API keys: created, listed, revoked."),
    "verify": Lazy("app.cli.commands.verify", "Say whether a callback is valid, and why not."),
    "send": Lazy("app.cli.commands.send", "Send a correctly signed example callback."),
    "sandbox": Lazy("app.cli.commands.sandbox", "Stand in for Gameball."),
    "attempts": Lazy(
        "app.cli.commands.attempts", "List, show, follow, replay, cancel and export the history."
    ),
    "events": Lazy("app.cli.commands.events", "List and show what platforms sent."),
    "identities": Lazy("app.cli.commands.identities", "Link accounts to customers."),
    "audit": Lazy("app.cli.commands.audit", "List what people and keys changed, newest first."),
    "alerts": Lazy("app.cli.commands.alerts", "Alerts: what is wrong, and whom they wake."),
    "purge": Lazy("app.cli.commands.purge", "Delete what is older than it is kept."),
}
# Commands that also work on a running service, over its API.
REMOTE = frozenset({"attempts", "events", "identities", "audit", "alerts"})


@click.command(cls=LazyGroup, lazy=COMMANDS)
@click.option(
    "--url",
    help="Ask this running service instead of the database; for "
    f"{', '.join(sorted(REMOTE))}. Also VOUCH_URL.",
)
@click.option(
    "--key",
    help="A key of that service. Other users see it here: better VOUCH_KEY or VOUCH_KEY_FILE.",
)
@click.version_option(__version__, prog_name="vouch")
@click.pass_context
def vouch(ctx: click.Context, url: str | None, key: str | None) -> None:
    """Vouch turns social actions into Gameball rewards.

    Start with `vouch demo`: everything on this machine, no account needed.
    """
    if (url or key) and ctx.invoked_subcommand not in REMOTE:
        raise click.UsageError(f"--url and --key are for {', '.join(sorted(REMOTE))}")


def main(arguments: list[str] | None = None) -> Any:
    """Run `vouch`. For a wrong configuration, print every mistake and exit 2.

    For an operating-system error, such as a full disk or a forbidden file, print it and exit 1.
    """
    hold_standard_streams()
    # Imports create many lasting objects. Collecting garbage among them takes a tenth of the time
    # of a short command.
    gc.set_threshold(50_000, 20, 50)
    try:
        return vouch(arguments)
    except ConfigurationError as error:
        for mistake in error.mistakes:
            click.echo(f"error: {mistake}", err=True)
        sys.exit(2)
    except OSError as error:
        # Libraries raise subclasses without an errno: those are bugs.
        if error.errno is None:
            raise
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"error: {where}{error.strerror}", err=True)
        sys.exit(1)
