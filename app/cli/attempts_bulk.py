"""How are attempts replayed and cancelled from a terminal, one by one or as a bulk job?"""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from app.cli.actor import caused_by
from app.cli.database import open_database
from app.cli.filters import wanted_filter
from app.cli.output import print_json
from app.domain.clock import utc_now
from app.domain.texts import is_written
from app.schemas.filters import MAX_LIMIT
from app.steps import bulk, history, operator_actions
from app.steps.history import Filter
from app.steps.operator_actions import OperatorAction
from app.storage.database import Database

_WORDS = {
    OperatorAction.REPLAY: ("replayed", "due again", operator_actions.replay),
    OperatorAction.CANCEL: ("cancelled", "withdrawn", operator_actions.cancel),
}
_LOOK_SECONDS = 0.1


def act_on_many(
    act: OperatorAction,
    *,
    ids: Sequence[str],
    is_all: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    **criteria: Any,
) -> None:
    """Do it, tell what came of it, and exit 1 when one that was named does not allow it."""
    wanted = wanted_filter(criteria)
    if sum((bool(ids), not wanted.is_empty, is_all)) != 1:
        raise click.UsageError("name attempts, or filter them, or say --all")
    with open_database() as database:
        if ids:
            outcome = _named(database, act, ids, is_dry=dry_run)
        else:
            outcome = _filtered(database, act, wanted, is_dry=dry_run, is_sure=yes)
    if as_json:
        print_json(outcome)
    else:
        _tell(act, outcome, is_dry=dry_run)
    sys.exit(1 if outcome["refused"] else 0)


def whole_id(database: Database, beginning: str) -> str:
    """The only attempt whose id begins so. Raises `click.ClickException`."""
    if not is_written(beginning):
        raise click.ClickException("no attempt has such an id")
    with database.read() as connection:
        found = history.page(connection, Filter(q=beginning), MAX_LIMIT)
    ids = [row.id for row in found if row.id.startswith(beginning.lower())]
    if not ids:
        raise click.ClickException(f"no attempt has the id {beginning} (8 digits are enough)")
    if len(ids) > 1:
        raise click.ClickException(f"more than one attempt has it: {', '.join(ids)}")
    return str(ids[0])


def _named(
    database: Database, act: OperatorAction, ids: Sequence[str], *, is_dry: bool
) -> dict[str, Any]:
    whole_ids = [whole_id(database, one) for one in ids]
    reasons = {} if is_dry else {one: _act_on_one(database, act, one) for one in whole_ids}
    refused = {one: reason for one, reason in reasons.items() if reason}
    done = len(reasons) - len(refused)
    return {"matched": len(whole_ids), _WORDS[act][0]: done, "refused": refused}


def _act_on_one(database: Database, act: OperatorAction, attempt_id: str) -> str | None:
    """Do it to one; why that could not be, or None."""
    by, do = caused_by(), _WORDS[act][2]
    try:
        database.write(lambda c: do(c, attempt_id, by, utc_now()))
    except operator_actions.NotAllowed as refusal:
        return str(refusal)
    return None


def _filtered(
    database: Database, act: OperatorAction, wanted: Filter, *, is_dry: bool, is_sure: bool
) -> dict[str, Any]:
    try:
        narrow = bulk.narrowed(act, wanted)
    except bulk.WrongStates as wrong:
        raise click.UsageError(f"--state: {wrong}") from None
    now = utc_now()
    with database.read() as connection:
        matched = bulk.count(connection, act, narrow, now)
    if is_dry or not matched:
        return {"matched": matched, _WORDS[act][0]: 0, "refused": {}}
    if not is_sure:
        click.confirm(f"{act.capitalize()} {matched} attempts?", abort=True, err=True)
    by = caused_by()
    job = database.write(lambda c: bulk.start(c, act, narrow, matched, by, now))
    try:
        ended = _carried_out(database, job)
    except KeyboardInterrupt:
        ended = _stopped(database, act, job, by)
    return {"matched": matched, _WORDS[act][0]: ended.done, "refused": {}, "bulk": job.id}


def _stopped(database: Database, act: OperatorAction, job: Any, by: str) -> Any:
    """Whoever presses Ctrl-C wants no more of it; left running, the service would carry it on."""
    ended = database.write(lambda c: bulk.stop(c, job.id, by, utc_now()))
    if ended.stopped:
        word, state, _ = _WORDS[act]
        told = f"{ended.done} of {job.matched} attempts are {state}; no other will be {word}"
        raise click.ClickException(f"stopped: {told}")
    return ended


def _carried_out(database: Database, job: Any) -> Any:
    """Work on a job until it is at its end; a running service may be at it as well."""
    while True:
        is_ours = database.write(lambda c: bulk.advance(c, job.id, utc_now()))
        with database.read() as connection:
            now = bulk.find(connection, job.id)
        if now is None or now.ended_at is not None:
            return now or job
        if sys.stderr.isatty():
            click.echo(f"\r{now.visited} of {now.matched}", err=True, nl=False)
        if not is_ours:
            time.sleep(_LOOK_SECONDS)


def _tell(act: OperatorAction, outcome: Mapping[str, Any], *, is_dry: bool) -> None:
    word, state, _ = _WORDS[act]
    if is_dry:
        click.echo(f"{outcome['matched']} attempts would be {word}.")
        return
    click.echo(f"{outcome[word]} of {outcome['matched']} attempts are {state}.")
    for attempt_id, reason in outcome["refused"].items():
        click.echo(f"{attempt_id}: {reason}", err=True)
