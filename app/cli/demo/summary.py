"""What is there to see at the end of the demo, and what may be tried next?"""

from datetime import UTC, datetime

from app.cli.demo.actors import Stage
from app.sandbox.calls import SOCIAL_CHALLENGES

PAGES = {"the API": "/docs", "metrics": "/metrics", "the admin's page": "/admin"}


def show_attempts(stage: Stage) -> None:
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
    """What arrived at the sandbox and what it granted: its own books, not ours."""
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
    """Whether every promise was kept."""
    stage.teller.heading("What was promised")
    for text, is_kept in stage.promises.items():
        stage.teller.promise(text, is_kept=is_kept)
    kept = sum(stage.promises.values())
    stage.teller.note(f"{kept} of {len(stage.promises)} promises were kept")
    return kept == len(stage.promises)


def show_what_next(stage: Stage, sandbox_url: str) -> None:
    """While everything runs. Of the pages, only what answers."""
    stage.teller.heading("What to try next (Ctrl-C ends everything)")
    url, offer = stage.shop.url, stage.offers[0]
    send = f"vouch send {offer.adapter.name} {offer.template.name} --url {url}"
    for name, path in PAGES.items():
        if stage.shop.has(path):
            stage.teller.fact(name, url + path)
    stage.teller.fact("the history", f"export KEY={stage.installation.key}")
    stage.teller.fact("", f'curl -H "Authorization: Bearer $KEY" {url}/v1/attempts')
    stage.teller.fact("Gameball's books", f"curl {sandbox_url}/_sandbox/books")
    for name, variable in (("from a terminal", "VOUCH_CONFIG"), ("", "DATABASE_URL")):
        stage.teller.fact(name, f"export {variable}={stage.installation.variables[variable]}")
    stage.teller.fact("", "vouch attempts list")
    stage.teller.fact("", f"{send} --actor ann-1")
    stage.teller.fact("", f"{send} --count 500")


def show_how_to_stay(stage: Stage) -> None:
    """After --once, when nothing runs any more."""
    stage.teller.heading("What to try next")
    stage.teller.fact(
        "vouch demo", "the same without --once: it keeps running, and tells what to send"
    )
    stage.teller.fact("vouch sandbox", "the same Gameball alone, for a configuration of your own")
    stage.teller.fact("vouch check", "whether such a configuration is right")


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]
