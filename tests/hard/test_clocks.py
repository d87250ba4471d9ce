"""Is anybody paid twice, or forgotten, because a machine's clock is wrong?"""

import itertools
import time
from pathlib import Path

import pytest

from app.sandbox.books import Books
from app.sandbox.calls import SOCIAL_CHALLENGES
from app.sandbox.faults import Fault
from tests.hard.conftest import Survived
from tests.hard.harness import CHALLENGE, Installation, configuration, wait_until
from tests.hard.history import History

pytestmark = [pytest.mark.hard, pytest.mark.timeout(120)]

HOUR, DAY = 3_600, 86_400
JUMPS = (2, -2, 30, -30, HOUR, 0, -HOUR, DAY, -DAY, 400 * DAY, 0, -1, HOUR)


@pytest.mark.parametrize("beside", [0, 1], ids=["alone", "beside-a-right-one"])
def test_a_worker_whose_clock_jumps_pays_nobody_twice_and_forgets_nobody(
    installation: Installation,
    history: History,
    books: Books,
    survived: Survived,
    tmp_path: Path,
    beside: int,
) -> None:
    """It takes leases for lost that are not, and sleeps while something is due."""
    owed, wrong = 200, tmp_path / "seconds"
    jump_to(wrong, 0)
    installation.variables["JUMP_FILE"] = str(wrong)
    installation.text = configuration(per_second=40, window_at_least=30, window_at_most=31)
    books.configure(grant_delay_seconds=0)
    books.faults.add(
        Fault(kind="slow", path=SOCIAL_CHALLENGES, probability=0.5, seconds=0.1),
        Fault(kind="reset-after", path=SOCIAL_CHALLENGES, probability=0.05),
        Fault(kind="http-500", path=SOCIAL_CHALLENGES, probability=0.05),
    )
    history.owe(owed, [CHALLENGE])

    installation.work(module="tests.hard.jumping")
    installation.work(beside)
    for seconds in JUMPS:
        jump_to(wrong, seconds)
        time.sleep(0.4)
    books.faults.clear()
    days = itertools.count(500)

    def is_settled() -> bool:
        """What was put off by a clock that was ahead is due by one that is ahead further."""
        jump_to(wrong, next(days) * DAY)
        time.sleep(1)
        return history.is_settled()

    settled = wait_until(is_settled, 80, "everything owed is sent")

    counts = books.report().counts
    paid = {customer for customer, _ in counts}
    # What nobody can know by such a clock, it does not send again: a person is to decide.
    given_up = {row.customer_id for row in history.attempts() if row.state == "dead"}
    assert set(counts.values()) == {1}
    assert paid | given_up == {f"customer-{n}" for n in range(owed)}
    survived(
        faults=len(JUMPS), attempts=owed, left_to_people=len(given_up), seconds=f"{settled:.0f}"
    )


def jump_to(file: Path, seconds: float) -> None:
    """At once and as a whole: the worker may be reading it."""
    beside = file.with_suffix(".new")
    beside.write_text(str(seconds))
    beside.replace(file)
