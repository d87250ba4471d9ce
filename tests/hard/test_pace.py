"""Is Gameball's pace kept by all workers together, and used?"""

import pytest

from app.sandbox.books import Books
from app.sandbox.calls import SOCIAL_CHALLENGES
from app.sandbox.faults import Fault
from app.sandbox.settings import Limit
from tests.hard.conftest import Survived
from tests.hard.harness import CHALLENGE, Installation, configuration, wait_until
from tests.hard.history import History

pytestmark = [pytest.mark.hard, pytest.mark.timeout(120)]


def fastest_seconds(calls: int, limit: Limit) -> float:
    """How long so many calls take at least, from the first to the last, within the limit."""
    half_minutes, rest = divmod(calls - 1, limit.per_30_seconds)
    return 30 * half_minutes + rest // limit.per_second


def drain(
    installation: Installation, history: History, books: Books, owed: int, limit: Limit
) -> tuple[float, float]:
    """Let two workers send what is owed at once; the least seconds it could take, and took."""
    books.configure(limits={"customersPost": limit})
    installation.text = configuration(
        per_second=limit.per_second, per_30_seconds=limit.per_30_seconds, read_timeout=5
    )
    installation.work(2)

    history.owe(owed, [CHALLENGE])
    wait_until(history.is_settled, 100, "everything owed is sent")

    calls = [call.at for call in books.calls(10_000) if call.endpoint == SOCIAL_CHALLENGES]
    return fastest_seconds(owed, limit), max(calls) - min(calls)


@pytest.mark.parametrize(
    ("database_url", "owed", "limit"),
    [("postgres", 600, Limit(30, 360)), ("sqlite", 90, Limit(10, 60))],
    indirect=["database_url"],
    ids=["600-postgres", "90-sqlite"],
)
def test_what_falls_due_at_once_keeps_the_pace_and_uses_it(
    installation: Installation,
    history: History,
    books: Books,
    survived: Survived,
    owed: int,
    limit: Limit,
) -> None:
    fastest, taken = drain(installation, history, books, owed, limit)

    report = books.report()
    assert report.max_per_second <= limit.per_second
    assert report.max_30_seconds <= limit.per_30_seconds
    assert report.rate_limited == 0
    assert history.states() == {"accepted": owed}
    assert history.outcomes() == {"accepted": owed}
    workers = {row.worker for row in history.submissions()}
    assert len(workers) == 2
    # 0.93 on an idle machine of two cores; a busy one must not fail the test.
    assert fastest / taken >= 0.75
    survived(
        attempts=owed,
        most_in_a_second=report.max_per_second,
        most_in_30_seconds=report.max_30_seconds,
        pace_used=f"{fastest / taken:.0%} ({taken:.1f} s)",
    )


def test_one_customer_never_has_two_submissions_in_flight(
    installation: Installation, history: History, books: Books, survived: Survived
) -> None:
    books.faults.add(Fault(kind="slow", path=SOCIAL_CHALLENGES, probability=1, seconds=0.1))
    # Fewer threads than customers: no worker can be fast enough to serve all of them alone.
    installation.text = configuration(read_timeout=5, worker={"threads": 2})
    installation.work(2)

    history.owe(5, range(1, 9))
    wait_until(history.is_settled, 30, "everything owed is sent")

    assert books.report().concurrent_per_customer == 1
    assert history.states() == {"accepted": 40}
    assert history.outcomes() == {"accepted": 40}
    assert len({row.worker for row in history.submissions()}) == 2
    survived(attempts=40, customers=5)


def test_a_customer_with_a_long_queue_does_not_hold_up_the_others(
    installation: Installation, history: History, books: Books, survived: Survived
) -> None:
    """His attempts are the longest due, and only one of them can be in flight."""
    books.faults.add(Fault(kind="slow", path=SOCIAL_CHALLENGES, probability=1, seconds=0.2))
    installation.text = configuration(read_timeout=5)
    history.owe(1, range(1, 301))
    history.owe(20, [CHALLENGE], first=1)

    installation.work()
    others = {f"customer-{n}" for n in range(1, 21)}
    seconds = wait_until(
        lambda: {grant.customer_id for grant in books.grants()} >= others, 10, "the others' turn"
    )

    assert seconds < 5
    survived(queue=300, others_after=f"{seconds:.1f} s")
