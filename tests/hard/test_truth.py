"""Does every attempt end, and say `granted` exactly where Gameball's own books say so?"""

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.domain.clock import utc_now
from app.domain.events import Event
from app.domain.rules import Repeat, Rule
from app.sandbox.books import Books
from app.sandbox.faults import Fault
from app.sandbox.settings import Campaign, Limit
from tests.hard.conftest import Survived
from tests.hard.harness import Installation, Process, configuration, wait_until
from tests.hard.history import History
from tests.hard.truth import compare

pytestmark = [pytest.mark.hard, pytest.mark.timeout(420)]

ATTEMPTS, CUSTOMERS = 2_000, 300
CHALLENGES = {repeat: number for number, repeat in enumerate(Repeat, 1)}
RULES = tuple(
    Rule(challenge_id=number, platform="twitch", action=f"act-{repeat}", repeat=repeat)
    for repeat, number in CHALLENGES.items()
)
# Gameball's dedup window and delays, and ours, scaled down from minutes to seconds.
DEDUP, AT_LEAST, AT_MOST = 2.1, 2.0, 3.2
SCALED: Mapping[str, Any] = {
    "read_timeout": 1.0,
    "window_at_least": AT_LEAST,
    "window_at_most": AT_MOST,
    "retry_delays": [0.1] + [1] * 20,
    "echo_delays": [1] * 30,
    "busy_delays": [0.2] * 60,
}
CONFIRMATION = """
[confirmation]
delays = [0.8, 1.0, 1.5]
give_up_after = 20
reads_per_second = 1_000
reads_per_30_seconds = 30_000
transactions_per_second = 1_000
transactions_per_30_seconds = 30_000
threads = 6
"""
OUT_OF_REACH = frozenset(f"customer-{n}" for n in range(0, CUSTOMERS, 11))
OPTED_OUT = frozenset(f"customer-{n}" for n in range(5, CUSTOMERS, 23))
CAMPAIGNS = (
    Campaign(id=1, name="Follow once", max_achievement=1, out_of_reach=OUT_OF_REACH),
    Campaign(id=2, name="Each target", points=20),
    Campaign(id=3, name="Every day", points=0, coupon="DAY"),
    Campaign(id=4, name="Every week", points=70, visibility="NotVisible"),
    Campaign(id=5, name="Every month", points=10, max_achievement=1),
    Campaign(id=6, name="Every event", points=5, out_of_reach=OUT_OF_REACH),
)
LOST = ("timeout-before", "timeout-after", "reset-before", "reset-after", "slow")
ANSWERED = (
    *("http-500", "http-500-after", "http-503-html", "html-200", "redirect", "truncate"),
    *("bad-json-202-after", "rate-limit", "concurrent"),
)
JUNK: tuple[object, ...] = (
    *([], {}, "null", "[[", [{"rewardsCampaignId": "x", "achievedCount": {}}]),
    *({"transactions": [None, 5, {"type": []}]}, {"activities": "none", "hasMore": 1}),
)


def misbehave(books: Books, chance: random.Random) -> None:
    """Let one call in ten end in any of the ways that tell nothing, the wrong thing, or late."""
    for kind in (*LOST, *ANSWERED):
        seconds = 1.3 if kind in LOST else None
        # The share of 429s is small: each lets everybody rest.
        share = 0.002 if kind == "rate-limit" else 0.007
        books.faults.add(Fault(kind=kind, probability=share, seconds=seconds))
    for body in JUNK:
        for path in ("progress", "transactions", "activities", "campaigns"):
            books.faults.add(
                Fault(kind="answer", path=path, probability=0.003, status=200, body=body)
            )


def events(chance: random.Random) -> list[Event]:
    now = utc_now()
    kinds = [*Repeat] * (ATTEMPTS // len(Repeat) + 1)
    return [
        Event(
            source="twitch",
            key=f"event-{number}",
            platform="twitch",
            action=f"act-{kinds[number]}",
            actor=f"account-{chance.randrange(CUSTOMERS)}",
            occurred_at=now - timedelta(days=chance.choice([0, 1, 8, 40])),
            received_at=now,
            payload=b"{}",
            target=f"target-{chance.randrange(3)}",
        )
        for number in range(ATTEMPTS)
    ]


def kill(workers: list[Process], installation: Installation, chance: random.Random) -> None:
    victim = chance.randrange(len(workers))
    workers[victim].kill()
    (workers[victim],) = installation.work()


def trouble(
    books: Books, installation: Installation, workers: list[Process]
) -> list[Callable[[], object]]:
    """What happens to everybody, one after the other: each begins or ends something."""
    campaigns = books.settings.campaigns

    def rotate() -> None:
        books.configure(secret_key="rotated-secret-key")

    def hear_of_it() -> None:
        installation.variables["GAMEBALL_SECRET_KEY"] = "rotated-secret-key"
        for worker in workers:
            worker.stop()
        workers[:] = installation.work(len(workers))

    return [
        lambda: books.configure(gameball_status="disabled"),
        lambda: books.configure(gameball_status=None),
        rotate,
        hear_of_it,
        lambda: books.configure(
            campaigns=tuple(replace(one, is_active=one.id != 2) for one in campaigns)
        ),
        lambda: books.configure(campaigns=campaigns),
    ]


@pytest.mark.parametrize("kills", [False, True], ids=["no-kills", "kills"])
def test_granted_is_what_the_books_say_whatever_happens(
    installation: Installation, history: History, books: Books, survived: Survived, kills: bool
) -> None:
    seed = 4 + kills
    chance = random.Random(seed)
    limits = {
        name: Limit(100_000, 1_000_000)
        for name in ("customersGet", "customersPost", "transactions", "others")
    }
    books.configure(
        dedup_window_seconds=DEDUP,
        grant_delay_seconds=0.2,
        grant_jitter_seconds=0.8,
        campaigns=CAMPAIGNS,
        inactive_customers=OPTED_OUT,
        writes_oddly=True,
        limits=limits,
    )
    misbehave(books, chance)
    installation.text = configuration(confirmation=CONFIRMATION, **SCALED)
    history.link(range(CUSTOMERS))
    history.receive(events(chance), RULES)
    began = time.monotonic()
    workers = installation.work(2)

    killed = 0
    for step in trouble(books, installation, workers):
        time.sleep(3)
        step()
        if kills:
            kill(workers, installation, chance)
            killed += 1
    while kills and time.monotonic() - began < 40 and not history.is_final():
        time.sleep(2.5)
        kill(workers, installation, chance)
        killed += 1
    wait_until(history.is_final, 300, "every attempt has ended")

    truth = compare(history.attempts(), history.submissions(), books.report().grants)
    survived(
        seed=seed,
        kills=killed,
        seconds=f"{time.monotonic() - began:.0f}",
        **Counter(one.state for one in history.attempts()),
        outcomes=dict(history.outcomes()),
        grants=len(books.report().grants),
    )
    assert books.report().pending_grants == 0
    assert len(truth.attempts) == ATTEMPTS
    assert truth.wrong() == []
    assert truth.unseen() == []
    assert truth.awards_granted_twice() == []
