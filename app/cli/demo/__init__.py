"""`vouch demo`: run everything on one machine; no account is needed."""

from pathlib import Path

import click


@click.command()
@click.option("--once", is_flag=True, help="Exit by itself: 0 if every promise was kept, else 1.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep configuration, database and log in this new folder. Default: a temporary one.",
)
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, help="The service's. Default: a free one."
)
@click.option("--verbose", is_flag=True, help="Tell every call, every attempt and every promise.")
def command(once: bool, folder: Path | None, port: int, verbose: bool) -> None:
    """See everything work on this machine; no account is needed.

    A sandbox Gameball, the service, and correctly signed callbacks from every platform. Then it
    keeps running, to be looked at and to be sent more with `vouch send`.
    """
    # Print this first: the next import takes a second or two.
    click.echo("Starting a sandbox Gameball and the service …\n")
    from app.cli.demo.performance import perform

    perform(once=once, folder=folder, port=port, is_verbose=verbose)
