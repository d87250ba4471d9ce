"""Replay and cancel attempts from a terminal, one by one or as a bulk job."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from app.cli.access import Access, Criteria, Json, Listing, access
from app.cli.filters import MAX_LIMIT, given
from app.cli.output import print_json
from app.domain.texts import is_blank, is_written

# For each act: the past participle, and the state that the attempts have afterwards.
_WORDS = {"replay": ("replayed", "due again"), "cancel": ("cancelled", "withdrawn")}


def act_on_many(
    act: str,
    *,
    ids: Sequence[str],
    is_all: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    **criteria: Any,
) -> None:
    """Run the act, print the result, and exit 1 if a named attempt does not allow it."""
    wanted = given(criteria)
    if sum((bool(ids), bool(wanted), is_all)) != 1:
        raise click.UsageError("name attempts, or filter them, or say --all")
    with access() as history:
        if ids:
            outcome = _named(history, act, ids, is_dry=dry_run)
        else:
            everything = {"all": "true"} if is_all else {}
            outcome = _filtered(history, act, {**wanted, **everything}, is_dry=dry_run, is_sure=yes)
    if as_json:
        print_json(outcome)
    else:
        _tell(act, outcome, is_dry=dry_run)
    sys.exit(1 if outcome["refused"] else 0)


def whole_id(history: Access, beginning: str) -> str:
    """Return the id of the only attempt whose id begins so. Raises `click.ClickException`."""
    if not is_written(beginning) or is_blank(beginning):
        raise click.ClickException("no attempt has such an id")
    page = history.page(Listing.ATTEMPTS, {"q": beginning, "limit": str(MAX_LIMIT)})
    ids = [one["id"] for one in page["items"] if one["id"].startswith(beginning.lower())]
    if not ids:
        raise click.ClickException(f"no attempt has the id {beginning} (8 digits are enough)")
    if len(ids) > 1:
        raise click.ClickException(f"more than one attempt has it: {', '.join(ids)}")
    return str(ids[0])


def _named(history: Access, act: str, ids: Sequence[str], *, is_dry: bool) -> Json:
    whole_ids = [whole_id(history, one) for one in ids]
    reasons = {} if is_dry else {one: history.act(act, one) for one in whole_ids}
    refused = {one: reason for one, reason in reasons.items() if reason}
    done = len(reasons) - len(refused)
    return {"matched": len(whole_ids), _WORDS[act][0]: done, "refused": refused}


def _filtered(history: Access, act: str, wanted: Criteria, *, is_dry: bool, is_sure: bool) -> Json:
    matched = history.count(act, wanted)
    if is_dry or not matched:
        return {"matched": matched, _WORDS[act][0]: 0, "refused": {}}
    if not is_sure:
        click.confirm(f"{act.capitalize()} {matched} attempts?", abort=True, err=True)
    job = history.begin(act, wanted, matched)
    try:
        ended = _carried_out(history, job)
    except KeyboardInterrupt:
        ended = _stopped(history, act, job)
    return {"matched": matched, _WORDS[act][0]: ended["done"], "refused": {}, "bulk": job["id"]}


def _stopped(history: Access, act: str, job: Json) -> Json:
    """Stop the job after Ctrl-C. Otherwise the service would continue it."""
    ended = history.stop(job)
    if ended["progress"] == "stopped":
        word, state = _WORDS[act]
        told = f"{ended['done']} of {job['matched']} attempts are {state}; no other will be {word}"
        raise click.ClickException(f"stopped: {told}")
    return ended


def _carried_out(history: Access, job: Json) -> Json:
    """Follow a job until it ends. A running service may also work on it."""
    while True:
        job = history.follow(job)
        if job["endedAt"] is not None:
            return job
        if sys.stderr.isatty():
            click.echo(f"\r{job['visited']} of {job['matched']}", err=True, nl=False)


def _tell(act: str, outcome: Mapping[str, Any], *, is_dry: bool) -> None:
    word, state = _WORDS[act]
    if is_dry:
        click.echo(f"{outcome['matched']} attempts would be {word}.")
        return
    click.echo(f"{outcome[word]} of {outcome['matched']} attempts are {state}.")
    for attempt_id, reason in outcome["refused"].items():
        click.echo(f"{attempt_id}: {reason}", err=True)
