"""What can be done from a terminal? `vouch --help` explains itself."""

import importlib
import sys
from collections.abc import Mapping
from typing import Any

import click

from app import __version__
from app.cli.streams import hold_standard_streams
from app.settings.errors import ConfigurationError

# Loaded when called: a command that needs no web server does not wait for one to be imported.
COMMANDS: Mapping[str, str] = {
    "demo": "app.cli.demo",
    "serve": "app.cli.commands.serve",
    "work": "app.cli.commands.work",
    "db": "app.cli.commands.db",
    "check": "app.cli.commands.check",
    "keys": "app.cli.commands.keys",
    "verify": "app.cli.commands.verify",
    "send": "app.cli.commands.send",
    "sandbox": "app.cli.commands.sandbox",
    "attempts": "app.cli.commands.attempts",
    "events": "app.cli.commands.events",
    "audit": "app.cli.commands.audit",
    "alerts": "app.cli.commands.alerts",
    "purge": "app.cli.commands.purge",
}


class Commands(click.Group):
    """The commands by name, each in a module of its own that defines `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name]).command
        return command


@click.command(cls=Commands)
@click.version_option(__version__, prog_name="vouch")
def vouch() -> None:
    """Vouch turns social actions into Gameball rewards.

    Start with `vouch demo`: everything on this machine, no account needed.
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run `vouch`. A wrong configuration is told place by place, and exits 2.

    A folder, a file or a screen that we may not use, or that is full, is no bug of ours.
    """
    hold_standard_streams()
    try:
        return vouch(arguments)
    except ConfigurationError as error:
        for mistake in error.mistakes:
            click.echo(f"error: {mistake}", err=True)
        sys.exit(2)
    except OSError as error:
        # Libraries have kinds of their own, without a number: those are bugs.
        if error.errno is None:
            raise
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"error: {where}{error.strerror}", err=True)
        sys.exit(1)
