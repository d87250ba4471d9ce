"""`vouch purge`: delete rows that are past their retention time."""

import time
from collections.abc import Mapping
from datetime import datetime

import click

from app.cli.actor import caused_by
from app.cli.database import open_database
from app.cli.output import json_option, print_json, print_table
from app.domain.clock import iso_utc, to_the_minute, utc_now
from app.settings.configuration import load_configuration
from app.settings.environment import read_environment
from app.steps import retention
from app.steps.audit import Change, record
from app.steps.retention import Kept
from app.storage.database import Database

_AT_ONCE = 200
# Pause between two slices, so that waiting callbacks can write.
_BREATH_SECONDS = 0.01


@click.command()
@click.option("--dry-run", is_flag=True, help="Only count.")
@json_option
def command(dry_run: bool, as_json: bool) -> None:
    """Delete what is older than [retention] keeps it, now and wholly.

    The worker does the same by itself, slowly. It can be cut off and called again at any time,
    while the service runs. The ledger and the keys of events stay known for ever, as hashes.
    """
    environment = read_environment()
    settings = load_configuration(environment.config_path).retention
    kept = {kind: float(getattr(settings, kind)) for kind in Kept}
    bounds = retention.bounds(kept, utc_now())
    with open_database(environment) as database:
        counts = _counted(database, bounds) if dry_run else _purged(database, bounds)
    if as_json:
        print_json({"dryRun": dry_run, "purged": counts})
        return
    rows = [
        {"kind": kind, "older than": to_the_minute(bounds[Kept(kind)]), "rows": count}
        for kind, count in counts.items()
    ]
    print_table(("kind", "older than", "rows"), rows)
    if dry_run:
        click.echo("Nothing was let go: this was a dry run.")


def _counted(database: Database, bounds: Mapping[Kept, datetime]) -> dict[str, int]:
    with database.read() as connection:
        return {kind: retention.count(connection, kind, at) for kind, at in bounds.items()}


def _purged(database: Database, bounds: Mapping[Kept, datetime]) -> dict[str, int]:
    _note(database, bounds)
    counts = {kind: _purge_one(database, kind, at) for kind, at in bounds.items()}
    database.forget_traces()
    return {str(kind): count for kind, count in counts.items()}


def _note(database: Database, bounds: Mapping[Kept, datetime]) -> None:
    """Record the purge in the audit log before it begins, because it may be interrupted."""
    with database.read() as connection:
        due = {k: at for k, at in bounds.items() if retention.is_due(connection, k, at)}
    if due:
        told = {str(kind): iso_utc(at) for kind, at in due.items()}
        by, now = caused_by(), utc_now()
        database.write(lambda c: record(c, Change.DATABASE_PURGED, by=by, now=now, olderThan=told))


def _purge_one(database: Database, kind: Kept, older_than: datetime) -> int:
    total = 0
    while True:
        done = database.write(lambda c: retention.purge(c, kind, older_than, _AT_ONCE))
        total += done
        if done < _AT_ONCE:
            return total
        time.sleep(_BREATH_SECONDS)
