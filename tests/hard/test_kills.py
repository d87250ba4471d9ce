"""Does anything get lost, or paid twice, when the service is killed at any instant?"""

import contextlib
import os
import random
import time
from signal import SIGKILL

import pytest

from app.sandbox.books import Books
from app.sandbox.calls import SOCIAL_CHALLENGES
from app.sandbox.faults import Fault
from tests.hard.conftest import Survived
from tests.hard.harness import CHALLENGE, Installation, wait_until, wait_while_it_falls
from tests.hard.history import History
from tests.hard.platform import Load

# As many as there is time for on a busy machine, and no fewer than make the test worth it.
KILLS, FEWEST_KILLS, KILLING_SECONDS = 50, 15, 120

pytestmark = [pytest.mark.hard, pytest.mark.timeout(400)]


def misbehave(books: Books) -> None:
    """Let a few in a hundred calls end in each of the ways that tell nothing."""
    for kind in ("timeout-after", "reset-after", "http-500", "http-500-after"):
        seconds = 0.8 if kind.startswith("timeout") else None
        books.faults.add(
            Fault(kind=kind, path=SOCIAL_CHALLENGES, probability=0.01, seconds=seconds)
        )


def test_what_was_answered_survives_every_kill(
    installation: Installation, history: History, books: Books, survived: Survived
) -> None:
    chance = random.Random(20)
    history.link(range(20_000))
    misbehave(books)
    web = installation.serve()
    load = Load(port=web.port)
    startups, kills, web_processes = [], 0, 0
    began = time.monotonic()

    with load.running(callers=3):
        for kill in range(KILLS):
            if kill >= FEWEST_KILLS and time.monotonic() - began > KILLING_SECONDS:
                break
            kills += 1
            if kill % 4 == 0:
                time.sleep(chance.uniform(0, 0.9))  # while it starts
            else:
                startups.append(web.wait_ready())
                time.sleep(chance.uniform(0, 0.6))
            if kill % 10 == 1:
                os.kill(chance.choice(web.children()), SIGKILL)
                web_processes += 1
                time.sleep(chance.uniform(0, 0.3))
            web.kill()
            web = installation.serve(port=web.port, wait=False)
        web.wait_ready()
    killing = time.monotonic() - began
    draining = wait_while_it_falls(history.owed, "everything owed is sent")
    books.faults.clear()
    wait_until(lambda: books.report().pending_grants == 0, 30, "the grants")

    assert set(history.event_keys()) == {f"event-{n}" for n in load.answered}
    expected = {(f"customer-{n}", CHALLENGE): 1 for n in load.answered}
    assert history.taken() == history.states().total() == len(expected)
    assert history.awards() == expected
    assert books.report().counts == expected
    survived(
        kills=kills + web_processes,
        of_a_web_process=web_processes,
        events=len(expected),
        sent_again=len(load.failures),
        unknown=history.outcomes()["unknown"],
        echoes=history.outcomes()["echo"],
        seconds=f"{killing:.0f} + {draining:.1f} to drain",
        startup=f"{sum(startups) / len(startups):.2f} s",
    )


def test_what_was_answered_survives_the_kills_of_web_processes_that_are_replaced_at_once(
    installation: Installation, history: History, books: Books, survived: Survived
) -> None:
    """gunicorn forks another, which begins while the dead one's transaction is being undone."""
    chance, kills = random.Random(22), 40
    history.link(range(20_000))
    misbehave(books)
    web = installation.serve()
    load = Load(port=web.port)

    with load.running(callers=3):
        for _ in range(kills):
            time.sleep(chance.uniform(0.02, 0.35))
            wait_until(web.children, 10, "a web process")
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(web.children()), SIGKILL)
        well = web.wait_ready()
    wait_while_it_falls(history.owed, "everything owed is sent")
    books.faults.clear()
    wait_until(lambda: books.report().pending_grants == 0, 30, "the grants")

    assert set(history.event_keys()) == {f"event-{n}" for n in load.answered}
    assert books.report().counts == {(f"customer-{n}", CHALLENGE): 1 for n in load.answered}
    survived(kills=kills, events=len(load.answered), well_after=f"{well:.1f} s")


def test_what_is_owed_survives_the_kill_of_any_worker(
    installation: Installation, history: History, books: Books, survived: Survived
) -> None:
    chance, kills, owed = random.Random(21), 10, 800
    misbehave(books)
    books.faults.add(Fault(kind="slow", path=SOCIAL_CHALLENGES, probability=0.5, seconds=0.1))
    history.owe(owed, [CHALLENGE])
    workers = installation.work(2)

    for _ in range(kills):
        time.sleep(chance.uniform(0, 0.3))
        victim = chance.randrange(2)
        workers[victim].kill()
        (workers[victim],) = installation.work()
    left = history.states()["due"]
    wait_while_it_falls(history.owed, "everything owed is sent")
    wait_until(lambda: books.report().pending_grants == 0, 30, "the grants")

    assert history.taken() == history.states().total() == owed
    assert books.report().counts == {(f"customer-{n}", CHALLENGE): 1 for n in range(owed)}
    assert books.report().concurrent_per_customer == 1
    survived(
        kills=kills, attempts=owed, left_at_the_end=left, unknown=history.outcomes()["unknown"]
    )
