"""`vouch verify`: check the signature of a callback and explain why it fails."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import BinaryIO
from urllib.parse import parse_qsl

import click

from app.cli.groups import Choice
from app.cli.output import iso, json_option, print_json, print_labelled
from app.cli.sources import Source, described_source
from app.cli.suspicions import is_mismatch, suspicions
from app.cli.times import FORMS, moment
from app.cli.verdicts import Verdict, described, judge, verdict_json
from app.domain.clock import utc_now
from app.domain.events import Event
from app.outgoing.published_keys import fetched_now
from app.platforms import adapters
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, KeysUnavailable

NOTHING_FOUND = (
    "no white space, quotation mark or newline explains it: the secret is another one, or the body "
    "is not the bytes that were signed. Save it before anything parses it"
)


@click.command()
@click.argument("platform", type=Choice(sorted(adapters())))
@click.option("--secret", "secrets", multiple=True, help="A signing secret; repeat for several.")
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="As it came.")
@click.option("--body-file", type=click.File("rb"), help="The raw body; - is standard input.")
@click.option(
    "--query", "queries", multiple=True, metavar="NAME=VALUE", help="Or all of it: a=1&b=2."
)
@click.option("--method", help="Default: POST; GET when there is a query and no body.")
@click.option("--at", callback=moment, metavar="TIME", help=f"When it came. Default: now. {FORMS}.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="Another key of a source.")
@click.option("--fetch-keys", is_flag=True, help="Ask the platform for the keys that it publishes.")
@json_option
def command(
    platform: str,
    secrets: Sequence[str],
    headers: Sequence[str],
    body_file: BinaryIO | None,
    queries: Sequence[str],
    method: str | None,
    at: datetime | None,
    pairs: Sequence[str],
    fetch_keys: bool,
    as_json: bool,
) -> None:
    """Say whether a callback is valid, why not, and what it tells.

    As the service would judge it, with a source of PLATFORM that holds these secrets. Exits 0 when
    it is valid, 1 when it is not. The secret is never printed.
    """
    source = described_source(platform, platform, secrets, pairs)
    callback = _callback(source, method, headers, queries, body_file, at or utc_now())
    if fetch_keys:
        # Fetch only once: the search for an explanation verifies many variants.
        source.adapter.fetch = cache(fetched_now)
    try:
        verdict = judge(source.adapter, callback)
    except KeysUnavailable as error:
        raise click.UsageError(f"give --secret S, or --fetch-keys ({error})") from None
    hints = [] if verdict.is_valid else _hints(source, callback)
    if as_json:
        told = {"platform": platform, **verdict_json(verdict), "hints": hints}
        print_json({**told, "assumed": source.assumed})
    else:
        tell(source.adapter, verdict, hints)
    sys.exit(0 if verdict.is_valid else 1)


def _callback(
    source: Source,
    method: str | None,
    headers: Sequence[str],
    queries: Sequence[str],
    body_file: BinaryIO | None,
    at: datetime,
) -> Callback:
    method = method.upper() if method else "GET" if queries and not body_file else "POST"
    if method == "POST" and body_file is None:
        raise click.UsageError("a POST needs its body: --body-file F")
    if method == "POST" and "secrets" in source.assumed:
        raise click.UsageError("a POST needs the secret that signs it: --secret S")
    body = body_file.read() if body_file else b""
    return Callback(
        method=method, headers=_headers(headers), query=_query(queries), body=body, received_at=at
    )


def _headers(lines: Iterable[str]) -> Mapping[str, str]:
    """Parse headers to the form of the web layer: lower-case names, bytes decoded as latin-1."""
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise click.UsageError("write --header 'Name: value'")
        name = name.strip().lower()
        text = os.fsencode(value.strip()).decode("latin-1")
        headers[name] = f"{headers[name]},{text}" if name in headers else text
    return headers


def _query(parts: Iterable[str]) -> Mapping[str, str]:
    """Return the first value of each name, as the web layer does."""
    pairs = parse_qsl("&".join(part.removeprefix("?") for part in parts), keep_blank_values=True)
    return dict(reversed(pairs))


def _hints(source: Source, callback: Callback) -> list[str]:
    found = suspicions(source.adapter, callback)
    if found:
        return found
    hints = [f"{key} was not given: --set {key}=…" for key in source.assumed]
    if callback.method == "POST" and is_mismatch(source.adapter, callback):
        hints.append(NOTHING_FOUND)
    return hints


def tell(adapter: Adapter, verdict: Verdict, hints: Iterable[str]) -> None:
    """Print the verdict for people."""
    if verdict.refused is not None:
        click.echo(f"not valid: {verdict.refused}")
        for hint in hints:
            print_labelled("hint", hint)
        print_labelled("see", adapter.docs)
        return
    reading = verdict.reading
    what = f"a handshake of {adapter.name}" if reading.handshake else f"{adapter.name} signed this"
    click.echo(f"valid: {what}")
    if verdict.malformed is not None:
        status = adapter.malformed_status
        told = f"it cannot be read, and is answered {status}: {verdict.malformed}"
        print_labelled("but", told)
    for event in reading.events:
        print_labelled("event", f"{_described(event)}, at {iso(event.occurred_at)}")
        print_labelled("", f"key {event.key}")
    for nudge in reading.nudges:
        print_labelled("nudge", described(nudge))
    for reason in reading.ignored:
        print_labelled("ignored", reason)
    if reading.notice is not None:
        print_labelled("notice", reading.notice)
    if verdict.answer is not None:
        print_labelled("answer", f"{verdict.answer.status} {verdict.answer.body}")


def _described(event: Event) -> str:
    action = f"{event.action} undone" if event.undone else event.action
    handle = f" ({event.actor_handle})" if event.actor_handle else ""
    return f"{action} by {event.actor}{handle}" + (f" on {event.target}" if event.target else "")
