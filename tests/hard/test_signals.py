"""Do an operator's signals cost anything, under load?"""

import time
from signal import SIGCONT, SIGHUP, SIGSTOP, SIGTERM

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
from tests.hard.platform import Load, follow, post

OTHER_RULE = """
[[rules]]
challenge_id = 8
source = "twitch"
action = "follow"
"""

pytestmark = [pytest.mark.hard, pytest.mark.timeout(120)]


def test_a_graceful_stop_under_load_loses_nothing_and_records_what_was_in_flight(
    installation: Installation, history: History, books: Books, survived: Survived
) -> None:
    history.link(range(5_000))
    books.faults.add(Fault(kind="slow", path=SOCIAL_CHALLENGES, probability=1, seconds=0.3))
    installation.text = configuration(read_timeout=5)
    web = installation.serve()
    load = Load(port=web.port)
    taken = []

    with load.running(callers=4):
        for _ in range(2):
            web.wait_ready()
            time.sleep(0.5)
            taken.append(web.stop())
            assert history.outcomes()["in flight"] == 0
            web = installation.serve(port=web.port, wait=False)
        web.wait_ready()
    books.faults.clear()
    wait_while_it_falls(history.owed, "everything owed is sent")

    assert set(history.event_keys()) == {f"event-{n}" for n in load.answered}
    assert history.states() == {"accepted": len(load.answered)}
    assert history.outcomes().keys() == {"accepted"}
    assert not any(failure.startswith(("4", "5")) for failure in load.failures)
    survived(faults=2, events=len(load.answered), longest=f"{max(taken):.1f} s")


def test_a_worker_that_is_told_to_stop_finishes_what_is_in_flight(
    installation: Installation, history: History, books: Books, survived: Survived
) -> None:
    books.faults.add(Fault(kind="slow", path=SOCIAL_CHALLENGES, probability=1, seconds=0.5))
    installation.text = configuration(read_timeout=5)
    history.owe(40, [CHALLENGE])
    (worker,) = installation.work()
    wait_until(lambda: history.outcomes()["in flight"] >= 8, 10, "a full worker")

    seconds = worker.stop(within=10)

    assert history.outcomes().keys() == {"accepted"}
    assert history.states()["due"] > 0
    survived(faults=1, seconds=f"{seconds:.1f}")


def test_a_reload_costs_no_request_and_a_broken_file_changes_nothing(
    installation: Installation, history: History, survived: Survived
) -> None:
    history.link(range(5_000))
    web = installation.serve()
    load = Load(port=web.port, keeps_alive=False)

    def reload(text: str) -> None:
        before = web.children()
        installation.configure(text)
        web.tell(SIGHUP)
        wait_until(lambda: not set(before) & set(web.children()), 20, "new web processes")
        web.wait_ready()

    def challenges_of(number: int) -> set[int]:
        assert post(web.port, follow(f"asked-{number}", f"account-{number}")) == 204
        account = f"account-{number}"
        return {row.challenge_id for row in history.attempts() if row.account_id == account}

    with load.running(callers=3):
        reload("this is not TOML [")
        after_a_broken_one = challenges_of(4_000)
        reload(configuration(rules=OTHER_RULE))
        after_a_good_one = challenges_of(4_001)
        reload(configuration().replace(str(CHALLENGE), "0"))
        after_a_wrong_one = challenges_of(4_002)

    assert after_a_broken_one == {CHALLENGE}
    assert after_a_good_one == after_a_wrong_one == {CHALLENGE, 8}
    assert load.failures == []
    survived(faults=3, requests=len(load.answered))


def test_a_worker_reads_its_configuration_again_when_told(
    installation: Installation, history: History, books: Books, survived: Survived
) -> None:
    installation.text = configuration(per_30_seconds=5)
    history.owe(20, [CHALLENGE])
    (worker,) = installation.work()
    wait_until(lambda: books.report().accepted == 5, 10, "the allowed five")

    installation.configure("broken = [")
    worker.tell(SIGHUP)
    time.sleep(1)
    with_a_broken_file = books.report().accepted
    installation.configure(configuration())
    worker.tell(SIGHUP)
    wait_until(history.is_settled, 10, "the rest, at the new pace")

    assert with_a_broken_file == 5
    assert history.states() == {"accepted": 20}
    worker.tell(SIGTERM)
    survived(faults=2)


def test_a_worker_frozen_beyond_its_lease_pays_nothing_twice(
    installation: Installation, history: History, books: Books, survived: Survived
) -> None:
    """It wakes up with calls half made, whose attempts another worker has settled meanwhile."""
    books.faults.add(Fault(kind="slow", path=SOCIAL_CHALLENGES, probability=1, seconds=0.2))
    history.owe(200, [CHALLENGE])
    (frozen,) = installation.work()
    wait_until(lambda: history.outcomes()["in flight"] >= 8, 10, "a full worker")

    frozen.tell(SIGSTOP)
    installation.work()
    wait_while_it_falls(history.owed, "the other worker sends everything")
    frozen.tell(SIGCONT)
    time.sleep(1)

    wait_until(lambda: books.report().pending_grants == 0, 5, "the grants")
    assert history.taken() == history.states().total() == 200
    assert books.report().counts == {(f"customer-{n}", CHALLENGE): 1 for n in range(200)}
    assert books.report().concurrent_per_customer == 1
    survived(faults=1, unknown=history.outcomes()["unknown"], echoes=history.outcomes()["echo"])
