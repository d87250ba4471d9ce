"""Print attempts for people."""

import json
from collections.abc import Iterable, Sequence

import click

from app.cli.access import Json
from app.cli.output import clock, print_labelled, print_table, to_milliseconds
from app.domain.evidence import Evidence

# Characters of a shortened id: the milliseconds and twelve random bits. `vouch attempts show`
# accepts it.
SHORT_ID = 18
_MOST_PAYLOAD_LINES = 40
_SUBMISSION = ("startedAt", "endedAt", "outcome", "status", "code", "requestId", "message")


def print_attempts(items: Sequence[Json]) -> None:
    if not items:
        click.echo("No attempt is like that.")
        return
    rows = [
        {
            "id": one["id"][:SHORT_ID],
            "made": clock(one["createdAt"]),
            "state": one["state"],
            "customer": one["customerId"],
            "challenge": one["challengeId"],
            "platform": one["platform"],
            "action": _with_evidence(one),
            "account": one["accountId"],
        }
        for one in items
    ]
    print_table(list(rows[0]), rows)


def _with_evidence(one: Json) -> str:
    """Add the evidence to the action, unless it is the usual one (signed)."""
    is_usual = one["evidence"] == Evidence.SIGNED
    return str(one["action"]) if is_usual else f"{one['action']} ({one['evidence']})"


def print_attempt(one: Json) -> None:
    """Print an attempt with its event, its timeline and its submissions."""
    for label, text in _facts(one):
        print_labelled(label, text, indent=0, label_width=11)
    if one["event"] is not None:
        _tell_event(one["event"])
    click.secho("\ntimeline", bold=True)
    for step in one["timeline"]:
        click.echo(f"  {to_milliseconds(step['at'])}  {moved(step):<24} {step['causedBy']}")
        if step["reason"]:
            print_labelled("", step["reason"], label_width=26)
    click.secho("\nsubmissions to Gameball", bold=True)
    if not one["submissions"]:
        click.echo("  none")
        return
    rows = [
        {
            **{name: sub[name] for name in _SUBMISSION},
            "startedAt": to_milliseconds(sub["startedAt"]),
            "endedAt": sub["endedAt"] and to_milliseconds(sub["endedAt"]),
        }
        for sub in one["submissions"]
    ]
    print_table(_SUBMISSION, rows, indent=2)


def moved(step: Json) -> str:
    """Describe a step of a timeline: ``due -> accepted``."""
    return f"{step['fromState']} -> {step['toState']}" if step["fromState"] else step["toState"]


def _facts(one: Json) -> Iterable[tuple[str, str]]:
    contacts = [name for name, has in (("email", "hasEmail"), ("mobile", "hasMobile")) if one[has]]
    known = f" ({' and '.join(contacts)} known)" if contacts else ""
    yield "attempt", one["id"]
    yield "state", f"{one['state']}: {one['reason']}" if one["reason"] else one["state"]
    yield "customer", (one["customerId"] or "nobody is linked") + known
    yield "challenge", f"{one['challengeId']}, occurrence {one['occurrence']}"
    yield "action", _action(one)
    yield "evidence", one["evidence"]
    yield "source", one["source"] or "none: a claim"
    changed = to_milliseconds(one["updatedAt"])
    yield "made", f"{to_milliseconds(one['createdAt'])}, changed {changed}"
    if one["undoneAt"] is not None:
        yield "undone", f"{to_milliseconds(one['undoneAt'])}: the account took the action back"
    if one["heldBy"] is not None:
        yield "held by", _holder(one["heldBy"])
    if one["barring"]:
        yield "barred", "because of this, the account earns this challenge no more"
    yield from _confirmation(one["confirmation"])
    if one["nextAt"] is not None:
        in_flight = "a submission is in flight"
        yield "next", in_flight if one["inFlight"] else to_milliseconds(one["nextAt"])
    if one["claimed"] is not None:
        yield "claimed", json.dumps(one["claimed"])


def _holder(holder: Json) -> str:
    attempt = holder["attemptId"] or "an attempt that was deleted since"
    return f"{attempt}, for the same {holder['by']}"


def _confirmation(known: Json) -> Iterable[tuple[str, str]]:
    if known["countedBefore"] is not None:
        yield "before", f"achieved {known['countedBefore']} times, as Gameball counted"
    if known["granted"] is not None:
        yield "granted", _grant(known["granted"])


def _grant(granted: Json) -> str:
    got = [f"{granted['points']:g} points"] if granted["points"] else []
    got += [f"coupon {granted['coupon']}"] if granted["coupon"] else []
    at = f" at {to_milliseconds(granted['at'])}" if granted["at"] else ""
    return f"{' and '.join(got) or 'yes'}{at} ({granted['proof']} {granted['reference']})"


def _action(one: Json) -> str:
    by = f" by {one['accountId']}" if one["accountId"] else ""
    on = f" of {one['target']}" if one["target"] else ""
    return f"{one['action']}{on}{by} on {one['platform']}"


def _tell_event(event: Json) -> None:
    click.secho("\nevent", bold=True)
    print_labelled("id", event["id"])
    if event["actor"] is None:
        print_labelled(
            "stripped", "only a keyed hash of it is left, so that it earns nothing again"
        )
    else:
        handle = f" ({event['actorHandle']})" if event["actorHandle"] else ""
        print_labelled("key", event["key"] or "-")
        print_labelled("actor", event["actor"] + handle)
    occurred, received = to_milliseconds(event["occurredAt"]), to_milliseconds(event["receivedAt"])
    print_labelled("occurred", f"{occurred}, received {received}")
    lines = [] if event["payload"] is None else _payload_text(event["payload"]).splitlines()
    for line in lines[:_MOST_PAYLOAD_LINES]:
        click.echo(f"  {line}")
    if len(lines) > _MOST_PAYLOAD_LINES:
        click.echo(f"  … {len(lines) - _MOST_PAYLOAD_LINES} more lines: --json shows them")


def _payload_text(payload: Json) -> str:
    """Return a payload as JSON, which escapes terminal control codes from strangers."""
    return json.dumps(payload["content"], indent=2 if payload["format"] == "json" else None)
