"""Is an award paid exactly once, whatever becomes of Gameball's answer?"""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from app.sandbox.books import Books
from app.sandbox.calls import SOCIAL_CHALLENGES
from app.sandbox.faults import Fault
from app.sandbox.server import SandboxServer
from app.sandbox.settings import SandboxSettings
from tests.hard.conftest import Survived
from tests.hard.harness import (
    CHALLENGE,
    Installation,
    configuration,
    free_port,
    wait_until,
    wait_while_it_falls,
)
from tests.hard.history import History

pytestmark = [pytest.mark.hard, pytest.mark.timeout(120)]

LONGER_THAN_WE_WAIT = 0.8
UNKNOWN_CUSTOMER = {"code": 4004, "message": "customer does not exist"}
BAD_PAYLOAD = {"code": 3000, "message": "rewards campaign handle is missing"}

# How the first call for an attempt ends -> the outcomes of its submissions, in order.
ONCE: Mapping[str, list[str]] = {
    # It did not land.
    "timeout-before": ["unknown", "accepted"],
    "reset-before": ["unknown", "accepted"],
    "http-500": ["unknown", "accepted"],
    "http-503-html": ["unknown", "accepted"],
    "html-200": ["unknown", "accepted"],
    "redirect": ["unknown", "accepted"],
    "rate-limit": ["too_fast", "accepted"],
    "unauthorized": ["blocked", "accepted"],
    "forbidden": ["blocked", "accepted"],
    "gameball-disabled-422": ["blocked", "accepted"],
    "concurrent": ["busy", "accepted"],
    # It landed, and only the echo tells.
    "timeout-after": ["unknown", "echo"],
    "reset-after": ["unknown", "echo"],
    "http-500-after": ["unknown", "echo"],
    "bad-json-202-after": ["unknown", "echo"],
    "truncate": ["unknown", "echo"],
    "slow": ["unknown", "echo"],
}
NEVER: Mapping[str, tuple[dict[str, Any], list[str]]] = {
    "permanent": ({"status": 400, "body": BAD_PAYLOAD}, ["permanent"]),
    "no customer": (
        {"status": 404, "body": UNKNOWN_CUSTOMER},
        ["no_customer", "no_customer"],
    ),
}


@pytest.mark.timeout(60)
def test_every_way_to_answer_pays_once_or_never(
    installation: Installation, history: History, books: Books, survived: Survived
) -> None:
    installation.text = configuration(
        busy_delays=[0.2], missing_customer_delays=[0.2], probe_every=0.2
    )
    kinds = [*ONCE, *NEVER]
    for number, kind in enumerate(kinds):
        customer = f"customer-{number}"
        if kind in ONCE:
            fault = Fault(
                kind=kind, path=SOCIAL_CHALLENGES, customer_id=customer, seconds=LONGER_THAN_WE_WAIT
            )
        else:
            said, _ = NEVER[kind]
            fault = Fault(
                kind="answer", path=SOCIAL_CHALLENGES, customer_id=customer, probability=1, **said
            )
        books.faults.add(fault)
    history.owe(len(kinds), [CHALLENGE])

    installation.work()
    wait_while_it_falls(history.owed, "everything owed is settled")
    wait_until(lambda: books.report().pending_grants == 0, 5, "the grants")

    ended = {row.customer_id: row for row in history.attempts()}
    outcomes: dict[str, list[str]] = {row.id: [] for row in ended.values()}
    for row in history.submissions():
        outcomes[row.attempt_id].append(row.outcome)
    granted = books.report().counts
    for number, kind in enumerate(kinds):
        attempt = ended[f"customer-{number}"]
        was_paid = kind in ONCE
        assert outcomes[attempt.id] == (ONCE[kind] if was_paid else NEVER[kind][1]), kind
        assert attempt.state == ("accepted" if was_paid else "dead"), kind
        assert granted[f"customer-{number}", CHALLENGE] == int(was_paid), kind
    survived(faults=len(kinds), kinds=len(kinds))


OFTEN = (
    *("reset-before", "reset-after", "http-500", "http-500-after", "http-503-html", "html-200"),
    *(
        "redirect",
        "bad-json-202-after",
        "truncate",
        "concurrent",
        "timeout-before",
        "timeout-after",
    ),
)


def test_a_gameball_that_fails_every_other_call_in_every_way_pays_each_award_once(
    installation: Installation, history: History, books: Books, survived: Survived
) -> None:
    owed = 500
    installation.text = configuration(busy_delays=[0.2] * 40, worker={"threads": 16})
    for kind in OFTEN:
        seconds = LONGER_THAN_WE_WAIT if kind.startswith("timeout") else None
        probability = 0.02 if kind.startswith("timeout") else 0.06
        books.faults.add(
            Fault(kind=kind, path=SOCIAL_CHALLENGES, probability=probability, seconds=seconds)
        )
    history.owe(owed, [CHALLENGE])

    installation.work(2)
    seconds = wait_while_it_falls(history.owed, "everything owed is sent")
    wait_until(lambda: books.report().pending_grants == 0, 5, "the grants")

    outcomes = history.outcomes()
    failed = outcomes.total() - outcomes["accepted"] - outcomes["echo"]
    assert books.report().counts == {(f"customer-{n}", CHALLENGE): 1 for n in range(owed)}
    assert books.report().concurrent_per_customer == 1
    assert failed >= owed
    survived(faults=failed, attempts=owed, echoes=outcomes["echo"], seconds=f"{seconds:.0f}")


@pytest.fixture
def sometimes_there() -> Iterator[SandboxServer]:
    """A Gameball on a port that stays the same when it goes away and comes back."""
    server = SandboxServer(SandboxSettings(grant_delay_seconds=0), port=free_port())
    yield server
    server.stop()


def test_nothing_is_lost_while_gameball_is_not_there(
    installation: Installation,
    history: History,
    sometimes_there: SandboxServer,
    survived: Survived,
) -> None:
    installation.gameball_url = sometimes_there.url
    installation.text = configuration(read_timeout=5)
    history.owe(20, [CHALLENGE])

    installation.work()
    wait_until(lambda: history.outcomes()["not_sent"] >= 30, 10, "calls that find nobody")
    sometimes_there.start()
    wait_while_it_falls(history.owed, "everything owed is sent")

    assert history.states() == {"accepted": 20}
    assert history.outcomes().keys() == {"not_sent", "accepted"}
    assert set(sometimes_there.books.report().counts.values()) == {1}
    survived(faults=history.outcomes()["not_sent"])


def test_a_late_repeat_looks_first_and_never_pays_twice(
    installation: Installation, history: History, books: Books, survived: Survived
) -> None:
    """The dedup window is over, so that only the customer's progress can tell."""
    books.configure(dedup_window_seconds=0.5, grant_delay_seconds=0.1)
    installation.text = configuration(
        window_at_least=0.3, window_at_most=2, retry_delays=[1, 1, 1, 1, 1]
    )
    books.faults.add(
        *[
            Fault(kind=kind, path=SOCIAL_CHALLENGES, customer_id=f"customer-{number}")
            for number, kind in enumerate(["http-500-after", "http-500"] * 5)
        ]
    )
    history.owe(10, [CHALLENGE])

    installation.work()
    wait_while_it_falls(history.owed, "everything owed is settled")
    wait_until(lambda: books.report().pending_grants == 0, 5, "the grants")

    assert history.taken() == history.states().total() == 10
    assert set(books.report().counts.values()) == {1}
    assert len(books.report().counts) == 10
    survived(faults=10, late_repeats=10)
