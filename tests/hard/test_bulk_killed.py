"""Does a bulk job end, and touch each attempt once, when whoever works on it is killed?"""

import random
import time

import pytest

from app.sandbox.books import Books
from tests.hard.conftest import Survived
from tests.hard.harness import CHALLENGE, Installation, wait_until, wait_while_it_falls
from tests.hard.history import History

pytestmark = [pytest.mark.hard, pytest.mark.timeout(240)]


def test_a_replay_of_many_survives_every_kill(
    installation: Installation, history: History, books: Books, survived: Survived
) -> None:
    chance, kills, count = random.Random(22), 5, 1_000
    history.owe(count, [CHALLENGE])
    history.die()
    job_id = history.replay_all()
    cut_off = []

    for _ in range(kills):
        web = installation.serve()
        at_start = history.job(job_id).visited
        wait_until(
            lambda at=at_start: history.job(job_id).visited > at,  # type: ignore[misc]
            20,
            "it goes on",
        )
        time.sleep(chance.uniform(0, 0.1))
        web.kill()
        cut_off.append(history.job(job_id).visited)
    installation.serve()
    wait_until(lambda: history.job(job_id).ended_at is not None, 60, "the job ends")
    wait_while_it_falls(history.owed, "everything owed is sent")
    wait_until(lambda: books.report().pending_grants == 0, 5, "the grants")

    job = history.job(job_id)
    assert cut_off[0] < count, "it was never cut off"
    assert (job.matched, job.visited, job.done) == (count, count, count)
    assert {attempt.round for attempt in history.attempts()} == {1}
    assert books.report().counts == {(f"customer-{n}", CHALLENGE): 1 for n in range(count)}
    survived(kills=kills, attempts=count, cut_off_at=cut_off)
