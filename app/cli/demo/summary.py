"""The end of the demo: tables of the results and hints what to try next."""

import shlex
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from app.cli.demo.actors import Stage
from app.sandbox.calls import SOCIAL_CHALLENGES

PAGES = {"the API": "/docs", "metrics": "/metrics", "the admin's page": "/admin"}


def show_attempts(stage: Stage) -> None:
    if not stage.teller.is_verbose:
        return
    attempts = reversed(stage.shop.attempts(limit="200"))
    columns = {
        "state": "state",
        "customer": "customerId",
        "challenge": "challengeId",
        "platform": "platform",
        "action": "action",
        "account": "accountId",
        "evidence": "evidence",
    }
    rows = [{name: attempt[key] for name, key in columns.items()} for attempt in attempts]
    stage.teller.table("The attempts, as GET /v1/attempts tells them", list(columns), rows)


def show_submissions(stage: Stage) -> None:
    """Print the submissions and grants from the sandbox's books, not from our database."""
    if not stage.teller.is_verbose:
        return
    granted = {(grant.customer_id, grant.challenge_id): grant for grant in stage.books.grants()}
    rows = []
    for call in reversed(stage.books.calls()):
        if call.endpoint != SOCIAL_CHALLENGES:
            continue
        grant = granted.get((call.customer_id or "", call.challenge_id or 0))
        rows.append(
            {
                "received": _time(call.at),
                "customer": call.customer_id,
                "challenge": call.challenge_id,
                "answered": call.status,
                "granted": grant and f"{grant.points} points after {grant.at - call.at:.1f} s",
                "campaign": grant and grant.campaign.name,
            }
        )
    columns = ("received", "customer", "challenge", "answered", "granted", "campaign")
    stage.teller.table("The submissions that Gameball (the sandbox) received", columns, rows)


def show_promises(stage: Stage) -> bool:
    """Print the promises. Returns whether every one was kept."""
    if stage.teller.is_verbose or not all(stage.promises.values()):
        stage.teller.heading("What was promised")
        for text, is_kept in stage.promises.items():
            stage.teller.promise(text, is_kept=is_kept)
    kept = sum(stage.promises.values())
    stage.teller.note(f"{kept} of {len(stage.promises)} promises were kept")
    return kept == len(stage.promises)


def show_what_next(stage: Stage, sandbox_url: str) -> None:
    """Print what to try while everything runs. Lists only pages that answer."""
    stage.teller.heading("What to try next (Ctrl-C ends everything)")
    url, offer = stage.shop.url, stage.offers[0]
    for name, path in PAGES.items():
        if stage.shop.has(path):
            stage.teller.fact(name, url + path)
    stage.teller.fact("Gameball's books", f"{sandbox_url}/_sandbox/books")
    stage.teller.heading("In another terminal")
    variables = {
        "VOUCH_CONFIG": stage.installation.variables["VOUCH_CONFIG"],
        "VOUCH_URL": url,
        "VOUCH_KEY": stage.installation.key,
    }
    for name, value in variables.items():
        stage.teller.command(f"export {name}={shlex.quote(value)}")
    vouch, send = program(), f"send {offer.adapter.name} {offer.template.name} --url {url}"
    stage.teller.command(f"{vouch} attempts list")
    stage.teller.command(f"{vouch} attempts tail &")
    stage.teller.command(f"{vouch} {send} --actor ann-1")
    stage.teller.command(f"{vouch} {send} --count 500")


def show_how_to_stay(stage: Stage) -> None:
    """Print what to try after --once, when nothing runs any more."""
    vouch = program()
    stage.teller.heading("What to try next")
    stage.teller.command("# The same, but it keeps running, and says what to send:")
    stage.teller.command(f"{vouch} demo")
    stage.teller.command("# A first configuration of your own, and whether it is right:")
    stage.teller.command(f"{vouch} init")
    stage.teller.command(f"{vouch} check")


def program() -> str:
    """Return the command that calls this `vouch` from another terminal."""
    ours = Path(sys.argv[0]).absolute()
    found = shutil.which("vouch")
    is_found = found is not None and Path(found).absolute() == ours
    return "vouch" if is_found or ours.name != "vouch" else shlex.quote(str(ours))


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]
