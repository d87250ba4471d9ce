"""What the sandbox grants, refuses and shows, so that it can be read back."""

import pytest

from app.sandbox.books import Books
from app.sandbox.odd_writing import oddly
from app.sandbox.settings import Campaign
from tests.sandbox.conftest import Caller, Clock


def test_a_coupon_is_shown_among_the_activities_and_in_no_transaction(
    caller: Caller, books: Books, clock: Clock
) -> None:
    books.configure(campaigns=(Campaign(id=7, points=0, coupon="SUMMER"),))
    caller.achieve()
    clock.advance(1)

    [activity] = caller.get("customers/ann/activities").get_json()["activities"]

    assert activity["couponCode"] == "SUMMER-1"
    assert caller.get("transactions", customerId="ann").get_json()["transactions"] == []


def test_a_customer_out_of_reach_is_accepted_and_gets_nothing(
    caller: Caller, books: Books, clock: Clock
) -> None:
    books.configure(campaigns=(Campaign(id=7, out_of_reach=frozenset({"ann"})),))

    answers = [caller.achieve(name).status_code for name in ("ann", "bob")]
    clock.advance(1)

    assert answers == [202, 202]
    assert [grant.customer_id for grant in books.grants()] == ["bob"]
    assert caller.progress()[0]["canAchieve"] is False
    assert caller.progress("bob")[0]["canAchieve"] is True


def test_the_books_say_which_call_a_grant_is_for(
    caller: Caller, books: Books, clock: Clock
) -> None:
    caller.achieve()
    at = clock.now
    clock.advance(500)

    [grant] = books.grants()

    assert (grant.accepted_at, grant.at) == (at, at + 1)


def test_what_is_accepted_while_the_program_is_off_is_never_granted(
    caller: Caller, books: Books, clock: Clock
) -> None:
    books.configure(gameball_status="disabled")
    caller.achieve()
    books.configure(gameball_status=None)
    clock.advance(500)

    assert books.grants() == []


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (5, "5"),
        (True, True),
        (None, None),
        ([1, "a"], ["1", "a"]),
        (
            {"canAchieve": True, "availablePointsBalance": 3},
            {
                "canAcheive": True,
                "avaliablePointsBalance": "3",
                "x-internal": {"shard": 7, "flags": [None, True]},
            },
        ),
    ],
)
def test_odd_writing_is_that_of_real_answers(given: object, written: object) -> None:
    assert oddly(given) == written


def test_reads_are_written_oddly_when_asked_to(caller: Caller, books: Books) -> None:
    books.configure(writes_oddly=True)

    row = caller.progress()[0]

    assert row["acheivedCount"] == "0"
    assert row["rewardsCampaignId"] == "7"
