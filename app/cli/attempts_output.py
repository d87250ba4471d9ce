"""How is history told to a person at a terminal?"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

import click

from app.cli.output import iso, print_labelled, print_table
from app.domain.evidence import Evidence
from app.schemas.attempts import (
    Attempt,
    AttemptInFull,
    Confirmation,
    Event,
    Granted,
    HeldBy,
    Payload,
    PayloadFormat,
)

# Milliseconds and twelve random bits: `vouch attempts show` takes so much of an id.
SHORT_ID = 18
_MOST_PAYLOAD_LINES = 40


def print_attempts(items: Sequence[Attempt]) -> None:
    if not items:
        click.echo("No attempt is like that.")
        return
    rows = [
        {
            "id": one.id[:SHORT_ID],
            "made": one.created_at.strftime("%m-%d %H:%M:%S"),
            "state": one.state,
            "customer": one.customer_id,
            "challenge": one.challenge_id,
            "platform": one.platform,
            "action": _with_evidence(one),
            "account": one.account_id,
        }
        for one in items
    ]
    print_table(list(rows[0]), rows)


def _with_evidence(one: Attempt) -> str:
    """Most are signed: only what is known otherwise is worth its place in a line."""
    is_usual = one.evidence is Evidence.SIGNED
    return one.action if is_usual else f"{one.action} ({one.evidence})"


def print_attempt(one: AttemptInFull) -> None:
    """An attempt with its event, its timeline and its submissions."""
    for label, text in _facts(one):
        print_labelled(label, text, indent=0, label_width=11)
    if one.event is not None:
        _tell_event(one.event)
    click.secho("\ntimeline", bold=True)
    for step in one.timeline:
        moved = f"{step.from_state} -> {step.to_state}" if step.from_state else step.to_state
        click.echo(f"  {iso(step.at)}  {moved:<24} {step.caused_by}")
        if step.reason:
            print_labelled("", step.reason, label_width=26)
    click.secho("\nsubmissions to Gameball", bold=True)
    if not one.submissions:
        click.echo("  none")
        return
    columns = ("started_at", "ended_at", "outcome", "status", "code", "request_id", "message")
    rows = [{name: getattr(sub, name) for name in columns} for sub in one.submissions]
    print_table(columns, rows, indent=2)


def _facts(one: AttemptInFull) -> Iterable[tuple[str, str]]:
    known = [name for name, has in (("email", one.has_email), ("mobile", one.has_mobile)) if has]
    contacts = f" ({' and '.join(known)} known)" if known else ""
    yield "attempt", one.id
    yield "state", f"{one.state}: {one.reason}" if one.reason else one.state
    yield "customer", (one.customer_id or "nobody is linked") + contacts
    yield "challenge", f"{one.challenge_id}, occurrence {one.occurrence}"
    yield "action", _action(one.platform, one.action, one.account_id, one.target)
    yield "evidence", one.evidence
    yield "source", one.source or "none: a claim"
    yield "made", f"{iso(one.created_at)}, changed {iso(one.updated_at)}"
    if one.undone_at is not None:
        yield "undone", f"{iso(one.undone_at)}: the account took the action back"
    if one.held_by is not None:
        yield "held by", _holder(one.held_by)
    if one.barring:
        yield "barred", "because of this, the account earns this challenge no more"
    yield from _confirmation(one.confirmation)
    if one.next_at is not None:
        yield "next", _next(one.next_at, is_in_flight=one.in_flight)
    if one.claimed is not None:
        yield "claimed", json.dumps(one.claimed)


def _holder(holder: HeldBy) -> str:
    attempt = holder.attempt_id or "an attempt that was deleted since"
    return f"{attempt}, for the same {holder.by}"


def _confirmation(known: Confirmation) -> Iterable[tuple[str, str]]:
    if known.counted_before is not None:
        yield "before", f"achieved {known.counted_before} times, as Gameball counted"
    if known.granted is not None:
        yield "granted", _grant(known.granted)


def _grant(granted: Granted) -> str:
    got = [f"{granted.points:g} points"] if granted.points else []
    got += [f"coupon {granted.coupon}"] if granted.coupon else []
    at = f" at {iso(granted.at)}" if granted.at else ""
    return f"{' and '.join(got) or 'yes'}{at} ({granted.proof} {granted.reference})"


def _action(platform: str, action: str, account: str | None, target: str | None) -> str:
    by = f" by {account}" if account else ""
    on = f" of {target}" if target else ""
    return f"{action}{on}{by} on {platform}"


def _next(at: datetime, *, is_in_flight: bool) -> str:
    return "a submission is in flight" if is_in_flight else iso(at)


def _tell_event(event: Event) -> None:
    click.secho("\nevent", bold=True)
    print_labelled("id", event.id)
    if event.actor is None:
        print_labelled(
            "stripped", "only a keyed hash of it is left, so that it earns nothing again"
        )
    else:
        by = f"{event.actor} ({event.actor_handle})" if event.actor_handle else event.actor
        print_labelled("key", event.key or "-")
        print_labelled("actor", by)
    print_labelled("occurred", f"{iso(event.occurred_at)}, received {iso(event.received_at)}")
    lines = [] if event.payload is None else _payload_text(event.payload).splitlines()
    for line in lines[:_MOST_PAYLOAD_LINES]:
        click.echo(f"  {line}")
    if len(lines) > _MOST_PAYLOAD_LINES:
        click.echo(f"  … {len(lines) - _MOST_PAYLOAD_LINES} more lines: --json shows them")


def _payload_text(payload: Payload) -> str:
    """A stranger's text, which may hold what a terminal would obey: JSON escapes that."""
    indent = 2 if payload.format is PayloadFormat.JSON else None
    return json.dumps(payload.content, indent=indent)
