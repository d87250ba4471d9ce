"""What is granted, when, and to whom not."""

import pytest

from app.sandbox.books import Books
from app.sandbox.settings import Campaign, SandboxSettings
from tests.sandbox.conftest import Caller, Clock


def granted(books: Books) -> list[tuple[str, int]]:
    return [(grant.customer_id, grant.challenge_id) for grant in books.grants()]


def test_a_reward_lands_when_its_delay_is_over_and_not_before(books: Books, clock: Clock) -> None:
    books.accept("ann", 7)

    clock.advance(0.875)
    assert granted(books) == []
    clock.advance(0.125)
    assert granted(books) == [("ann", 7)]


def test_a_grant_carries_the_time_it_fell_due_whenever_one_looks(
    books: Books, clock: Clock
) -> None:
    books.accept("ann", 7)
    due_at = clock.now + 1

    clock.advance(1000)

    assert books.grants()[0].at == due_at


def test_random_delays_stay_within_their_spread_and_repeat_with_their_seed(clock: Clock) -> None:
    def delays() -> list[float]:
        settings = SandboxSettings(grant_delay_seconds=5, grant_jitter_seconds=10)
        books = Books(settings, clock, seed=3)
        for number in range(50):
            books.accept(f"c{number}", 7)
        start = clock.now
        clock.advance(15)
        return [grant.at - start for grant in books.grants()]

    first, second = delays(), delays()

    assert len(first) == 50
    assert first == sorted(first)
    assert 5 <= first[0] < first[-1] <= 15
    assert first == pytest.approx(second)


def test_an_acceptance_in_a_disabled_program_is_never_granted(books: Books, clock: Clock) -> None:
    books.configure(gameball_status="Disabled")
    books.accept("ann", 7)
    books.configure(gameball_status=None)

    clock.advance(3600)

    assert granted(books) == []
    assert books.report().accepted == 1


@pytest.mark.parametrize(
    "campaign",
    [
        Campaign(id=7, is_active=False),
        Campaign(id=7, type="EventBased"),
        Campaign(id=7, max_achievement=0),
    ],
)
def test_what_cannot_be_achieved_is_accepted_and_dropped_without_a_word(
    books: Books, clock: Clock, campaign: Campaign
) -> None:
    books.configure(campaigns=(campaign,))
    books.accept("ann", 7)

    clock.advance(2)

    assert granted(books) == []
    assert books.report().pending_grants == 0


def test_an_unknown_campaign_is_accepted_and_dropped_without_a_word(
    books: Books, clock: Clock
) -> None:
    books.accept("ann", 1_000_000)
    books.configure(campaigns=(Campaign(id=7),), other_campaigns=False)
    books.accept("ann", 8)

    clock.advance(2)

    assert granted(books) == []


def test_an_opted_out_customer_and_a_guest_earn_nothing(
    caller: Caller, books: Books, clock: Clock
) -> None:
    books.configure(inactive_customers=frozenset({"out"}))
    caller.post("customers", {"customerId": "guest", "guest": True})
    for customer_id in ("out", "guest", "ann"):
        assert caller.achieve(customer_id).status_code == 202

    clock.advance(2)

    assert granted(books) == [("ann", 7)]


def test_a_repeat_limit_holds_per_customer(books: Books, clock: Clock) -> None:
    books.configure(campaigns=(Campaign(id=7, max_achievement=2),))
    for _ in range(4):
        books.accept("ann", 7)
        books.accept("bob", 7)
        clock.advance(60)
        assert books.report().pending_grants == 0

    counts = books.report().counts

    assert counts == {("ann", 7): 2, ("bob", 7): 2}


def test_two_that_wait_at_once_cannot_both_pass_the_limit(books: Books, clock: Clock) -> None:
    books.configure(
        campaigns=(Campaign(id=7, max_achievement=1),),
        dedup_window_seconds=0,
        grant_delay_seconds=5,
    )
    books.accept("ann", 7)
    books.accept("ann", 7)

    clock.advance(5)

    assert granted(books) == [("ann", 7)]


def test_an_unlimited_campaign_pays_again_after_the_window(books: Books, clock: Clock) -> None:
    """The danger of a late re-send."""
    books.accept("ann", 7)
    clock.advance(60)
    books.accept("ann", 7)
    clock.advance(1)

    assert granted(books) == [("ann", 7), ("ann", 7)]


def test_a_change_of_settings_does_not_reach_back(books: Books, clock: Clock) -> None:
    books.accept("ann", 7)
    clock.advance(1)

    books.configure(inactive_customers=frozenset({"ann"}))

    assert granted(books) == [("ann", 7)]


def test_only_the_listed_customers_exist_once_there_is_a_list(books: Books, caller: Caller) -> None:
    books.configure(known_customers=frozenset({"missing-link"}))

    assert caller.achieve("missing-link").status_code == 202
    assert caller.achieve("ann").status_code == 404
