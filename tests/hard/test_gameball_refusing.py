"""What happens while Gameball refuses everybody: our keys, our program, our pace?"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import pytest

from app.sandbox.books import Books
from app.sandbox.calls import SOCIAL_CHALLENGES
from app.sandbox.faults import Fault
from tests.hard.conftest import Survived
from tests.hard.harness import (
    CHALLENGE,
    Installation,
    configuration,
    wait_until,
    wait_while_it_falls,
)
from tests.hard.history import History

OWED = 60
PROBE_SECONDS = 0.5
WATCH_SECONDS = 2.0

pytestmark = [pytest.mark.hard, pytest.mark.timeout(120)]


@dataclass(frozen=True)
class Refusing:
    """A way in which Gameball refuses everybody, and how it ends."""

    begin: Callable[[Books], object]
    end: Callable[[Books], object]
    outcome: str


def by_fault(kind: str) -> Callable[[Books], object]:
    return lambda books: books.faults.add(Fault(kind=kind, path=SOCIAL_CHALLENGES, probability=1))


WAYS = {
    "keys-rotated": Refusing(
        lambda books: books.configure(secret_key="another"),
        lambda books: books.configure(secret_key="sandbox-secret-key"),
        "blocked",
    ),
    "program-off-422": Refusing(
        by_fault("gameball-disabled-422"), lambda books: books.faults.clear(), "blocked"
    ),
    "program-off-202": Refusing(
        lambda books: books.configure(gameball_status="disabled"),
        lambda books: books.configure(gameball_status=None),
        "program_disabled",
    ),
}


def silences(calls: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(calls)]


def calls_since(books: Books, at: float) -> list[float]:
    submissions = [call for call in books.calls(1_000) if call.endpoint == SOCIAL_CHALLENGES]
    return sorted(call.at for call in submissions if call.at > at)


@pytest.mark.parametrize(
    ("database_url", "name"),
    [
        ("sqlite", "keys-rotated"),
        ("postgres", "keys-rotated"),
        ("sqlite", "program-off-202"),
        ("postgres", "program-off-422"),
    ],
    indirect=["database_url"],
)
def test_forwarding_pauses_for_all_and_tries_one_at_a_time(
    installation: Installation, history: History, books: Books, survived: Survived, name: str
) -> None:
    way = WAYS[name]
    installation.text = configuration(per_second=30, probe_every=PROBE_SECONDS, read_timeout=5)
    history.owe(OWED, [CHALLENGE])
    installation.work(2)
    wait_until(lambda: books.report().accepted >= 10, 20, "some are accepted")

    way.begin(books)
    wait_until(lambda: history.forwarding().paused_at, 5, "the pause")
    time.sleep(0.3)  # what was in flight is answered
    watched_from = time.time()
    time.sleep(WATCH_SECONDS)
    probes = calls_since(books, watched_from)
    paused = history.forwarding()
    way.end(books)
    wait_while_it_falls(history.owed, "everything owed is sent")

    assert 1 <= len(probes) <= WATCH_SECONDS / PROBE_SECONDS + 1
    assert min(silences(probes)) >= PROBE_SECONDS * 0.9
    assert paused.paused_at is not None
    assert way.outcome in paused.pause_reason
    assert history.forwarding().paused_at is None
    assert history.states() == {"accepted": OWED}
    assert history.outcomes().keys() == {"accepted", way.outcome}
    survived(attempts=OWED, probes=len(probes), faults=history.outcomes()[way.outcome])


def test_a_429_slows_all_workers_for_as_long_as_gameball_asks(
    installation: Installation, history: History, books: Books, survived: Survived
) -> None:
    books.faults.add(
        Fault(kind="rate-limit", path=SOCIAL_CHALLENGES, count=1, seconds=3),
        Fault(kind="rate-limit", path=SOCIAL_CHALLENGES, count=2),
    )
    installation.text = configuration(read_timeout=5)
    history.owe(OWED, [CHALLENGE])

    installation.work(2)
    wait_while_it_falls(history.owed, "everything owed is sent")

    longest = max(silences(calls_since(books, 0)))
    assert longest >= 2.5
    assert history.states() == {"accepted": OWED}
    assert history.outcomes() == {"accepted": OWED, "too_fast": 3}
    survived(attempts=OWED, faults=3, longest_silence=f"{longest:.1f} s")
