"""Does Gameball's word make what was granted known at once, and what was not granted never?"""

import json
import time
from collections import Counter
from datetime import timedelta

import pytest
import requests

from app.domain.attempts import State
from app.domain.clock import utc_now
from app.domain.events import Event
from app.domain.rules import Rule
from app.sandbox.books import Books
from app.sandbox.settings import Campaign, Limit, Push
from tests.hard.conftest import Survived
from tests.hard.harness import CHALLENGE, Installation, configuration, wait_until
from tests.hard.history import History
from tests.hard.truth import compare

pytestmark = [pytest.mark.hard, pytest.mark.timeout(300)]

CUSTOMERS = 60
SECRET = "an-automation-secret-of-ours"
RULES = (Rule(challenge_id=CHALLENGE, platform="twitch", action="follow"),)
OUT_OF_REACH = frozenset(f"customer-{n}" for n in range(0, CUSTOMERS, 3))
GAMEBALL = """
[[sources]]
name = "gameball"
platform = "gameball"
secrets = ["env:GAMEBALL_SECRET_KEY"]
automation_secrets = ["env:AUTOMATION"]

[confirmation]
delays = ["1h"]
"""


def follows() -> list[Event]:
    now = utc_now()
    return [
        Event(
            source="twitch",
            key=f"event-{number}",
            platform="twitch",
            action="follow",
            actor=f"account-{number}",
            occurred_at=now - timedelta(seconds=1),
            received_at=now,
            payload=b"{}",
            target="1",
        )
        for number in range(CUSTOMERS)
    ]


def tell(url: str, customer: str, secret: str) -> int:
    body = {
        "event": "reward_campaign.achieved",
        "customer_id": customer,
        "campaign_id": CHALLENGE,
    }
    with requests.Session() as session:
        session.trust_env = False
        headers = {"X-Vouch-Secret": secret}
        return session.post(url, data=json.dumps(body), headers=headers).status_code


def test_what_is_told_is_granted_soon_and_only_what_the_books_say(
    installation: Installation, history: History, books: Books, survived: Survived
) -> None:
    """Each webhook comes three times; others are forged, or say what is not so."""
    installation.text = configuration(confirmation=GAMEBALL)
    installation.variables["AUTOMATION"] = SECRET
    is_embedded = installation.database_url.startswith("sqlite")
    web = installation.serve(*([] if is_embedded else ["--no-worker"]))
    if not is_embedded:
        installation.work(2)
    url = f"http://127.0.0.1:{web.port}/webhooks/gameball"
    books.configure(
        grant_delay_seconds=1.5,
        grant_jitter_seconds=1.0,
        campaigns=(Campaign(id=CHALLENGE, out_of_reach=OUT_OF_REACH),),
        limits={name: Limit(10_000, 100_000) for name in ("customersGet", "customersPost")},
        push=Push(url=url, secret=SECRET, copies=3),
    )
    history.link(range(CUSTOMERS))
    history.receive(follows(), RULES)

    owed = CUSTOMERS - len(OUT_OF_REACH)
    seconds = wait_until(
        lambda: Counter(one.state for one in history.attempts())[State.GRANTED] == owed,
        120,
        "what was granted is known",
    )
    forged = Counter(tell(url, customer, "somebody-elses-guess-of-it") for customer in OUT_OF_REACH)
    untrue = Counter(tell(url, customer, SECRET) for customer in OUT_OF_REACH)
    time.sleep(5)

    truth = compare(history.attempts(), history.submissions(), books.report().grants)
    survived(seconds=f"{seconds:.1f}", forged=dict(forged), untrue=dict(untrue))
    assert (forged, untrue) == (
        Counter({403: len(OUT_OF_REACH)}),
        Counter({204: len(OUT_OF_REACH)}),
    )
    states = Counter(one.state for one in history.attempts())
    assert states == Counter({State.GRANTED: owed, State.ACCEPTED: len(OUT_OF_REACH)})
    # What Gameball did not grant is not looked at for another hour.
    assert [told for told in truth.wrong() if not told.endswith(": still accepted")] == []
    assert truth.awards_granted_twice() == []
