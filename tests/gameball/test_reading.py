"""Is Gameball understood, however it writes, and is junk never taken for anything?"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.confirmation import Grant, Progress, Proof
from app.gameball import reading
from app.gameball.activities import read_activities
from app.gameball.client import GameballAccount, GameballClient, Reply
from app.gameball.pages import PAGE, Page
from app.gameball.progress import read_progress
from app.gameball.reading import Failure, NotReadable
from app.gameball.transactions import read_transactions
from app.sandbox.faults import Fault
from app.sandbox.server import SandboxServer
from app.sandbox.settings import Campaign

READERS: Mapping[str, Callable[[GameballClient], object]] = {
    "progress": lambda client: read_progress(client, "ann", 7),
    "transactions": lambda client: read_transactions(client, "ann"),
    "activities": lambda client: read_activities(client, "ann"),
}


class Canned(GameballClient):
    """A client whose reads answer what the test says."""

    def __init__(self, *answers: object) -> None:
        super().__init__(
            GameballAccount(
                base_url="https://gameball.test", api_version="v4.1", api_key="k", secret_key="s"
            )
        )
        self.answers = list(answers)
        self.asked: list[dict[str, str]] = []

    def call(
        self, method: str, path: str, *, params: dict[str, str] | None = None, **_more: object
    ) -> Reply:
        self.asked.append(params or {})
        said = self.answers.pop(0)
        return Reply(200, said if isinstance(said, bytes) else _json(said))


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3),
        ("3", 3),
        (3.0, 3),
        ("3.0", 3),
        ("11034736", 11_034_736),
        (0.5, None),
        (True, None),
        (None, None),
        ("", None),
        ("three", None),
        ("nan", None),
        (float("inf"), None),
        (10**400, None),
        ("9" * 400, None),
        ("9" * 5_000, None),
        ("٣", None),
        ([], None),
    ],
)
def test_a_whole_number_is_one_however_it_is_written(value: object, expected: int | None) -> None:
    assert reading.whole(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        ("true", True),
        ("False", False),
        (1, True),
        (0, False),
        (None, None),
        ("yes", None),
        (2, None),
        ([], None),
    ],
)
def test_a_truth_is_one_however_it_is_written(value: object, expected: bool | None) -> None:
    assert reading.truth(value) is expected


@pytest.mark.parametrize(
    "key", ["achievedCount", "acheivedCount", "AchievedCount", "achieved_count"]
)
def test_a_member_is_found_under_a_misspelt_name(key: str) -> None:
    assert reading.field({"other": 1, key: 2}, "achievedCount") == 2


def test_the_documented_name_goes_before_its_like() -> None:
    row = {"avaliablePointsBalance": 1, "availablePointsBalance": 2}

    assert reading.field(row, "availablePointsBalance") == 2


@pytest.mark.parametrize(
    ("value", "at", "left_open"),
    [
        ("2024-10-13T17:11:00.249", (17, 11, 0, 249_000), timedelta(milliseconds=1)),
        ("2024-10-13T17:11:00Z", (17, 11, 0, 0), timedelta(seconds=1)),
        ("2024-10-13T19:11:00+02:00", (17, 11, 0, 0), timedelta(seconds=1)),
        ("2024-10-13T17:11", (17, 11, 0, 0), timedelta(minutes=1)),
        ("2024-10-13", (0, 0, 0, 0), timedelta(days=1)),
    ],
)
def test_a_time_says_what_it_leaves_open(
    value: str, at: tuple[int, int, int, int], left_open: timedelta
) -> None:
    hour, minute, second, microsecond = at
    moment = datetime(2024, 10, 13, hour, minute, second, microsecond, UTC)

    assert reading.moment(value) == (moment, left_open)


@pytest.mark.parametrize("day", ["October 20, 2024", "october 20 2024", "2024-10-20"])
def test_a_day_and_a_time_are_put_together(day: str) -> None:
    found = reading.day_and_time(day, "19:27:33")

    assert found == (datetime(2024, 10, 20, 19, 27, 33, tzinfo=UTC), timedelta(seconds=1))


@pytest.mark.parametrize("day", ["20 octobre 2024", "October 99, 2024", "", None, 5, "x" * 9_000])
def test_a_day_that_nobody_can_read_is_none(day: object) -> None:
    assert reading.day_and_time(day, "19:27:33") is None


def test_everything_that_a_progress_tells_is_read(
    sandbox: SandboxServer, client: GameballClient
) -> None:
    sandbox.books.configure(
        campaigns=(Campaign(id=7, name="Follow us", points=70, max_achievement=3),)
    )
    client.submit("ann", 7, None, None)

    assert read_progress(client, "ann", 7) == {
        7: Progress(achieved=1, can_achieve=True, most=3, points=70, name="Follow us")
    }


def test_one_read_tells_of_all_campaigns(sandbox: SandboxServer, client: GameballClient) -> None:
    sandbox.books.configure(campaigns=(Campaign(id=7), Campaign(id=8, points=1)))

    shown = read_progress(client, "ann")

    assert {number: one.points for number, one in shown.items()} == {7: 50, 8: 1}


@pytest.mark.parametrize("is_odd", [False, True])
def test_a_reward_is_read_from_both_records(
    sandbox: SandboxServer, client: GameballClient, is_odd: bool
) -> None:
    campaign = Campaign(id=7, name="Follow us", coupon="SUMMER")
    sandbox.books.configure(campaigns=(campaign,), writes_oddly=is_odd)
    client.submit("ann", 7, None, None)

    [by_id] = read_transactions(client, "ann").by_key["7"]
    [by_name] = read_activities(client, "ann").by_key["follow us"]

    assert (by_id.proof, by_id.reference, by_id.points) == (Proof.TRANSACTION, "1", 50)
    assert (by_name.proof, by_name.points, by_name.coupon) == (Proof.ACTIVITY, 50, "SUMMER-1")
    assert by_id.at is not None
    assert by_name.at == by_id.at.replace(microsecond=0)
    assert read_progress(client, "ann", 7)[7].achieved == 1


def test_pages_follow_one_another(sandbox: SandboxServer, client: GameballClient) -> None:
    sandbox.books.configure(dedup_window_seconds=0)
    for _ in range(PAGE + 3):
        sandbox.books.accept("ann", 7)

    first = read_transactions(client, "ann")
    assert first.next_after == PAGE
    second = read_transactions(client, "ann", first.next_after)

    assert (len(first.by_key["7"]), len(second.by_key["7"])) == (PAGE, 3)
    assert second.next_after is None


def test_pages_that_would_never_end_are_junk() -> None:
    page = {"transactions": [{"gameballTransactionId": "5"}], "count": 1, "hasMore": True}
    client = Canned(page, page)
    first = read_transactions(client, "ann")

    assert first.next_after == 5
    with pytest.raises(NotReadable):
        read_transactions(client, "ann", 5)


def test_a_reward_without_a_readable_time_makes_its_campaign_unclear() -> None:
    row = {"type": "AchievementReward", "achievedRewardCampaignId": "7", "transactionTime": "soon"}

    page = read_transactions(Canned({"transactions": [row]}), "ann")

    assert page == Page({}, frozenset({"7"}), None)


def test_a_reward_without_an_id_is_known_by_its_time() -> None:
    row = {
        "type": "AchievementReward",
        "achievedRewardCampaignId": 7,
        "transactionTime": "2024-10-13T17:11:00.249",
    }

    [grant] = read_transactions(Canned({"transactions": [row]}), "ann").by_key["7"]

    assert grant.reference == "at 2024-10-13T17:11:00.249000+00:00"


@pytest.mark.parametrize("path", READERS)
@pytest.mark.parametrize(
    ("kind", "failure"),
    [
        ("timeout-before", Failure.NO_ANSWER),
        ("reset-before", Failure.NO_ANSWER),
        ("http-500", Failure.NO_ANSWER),
        ("http-503-html", Failure.NO_ANSWER),
        ("redirect", Failure.NO_ANSWER),
        ("concurrent", Failure.NO_ANSWER),
        ("truncate", Failure.NO_ANSWER),
        ("html-200", Failure.JUNK),
        ("rate-limit", Failure.TOO_FAST),
        ("unauthorized", Failure.BLOCKED),
        ("forbidden", Failure.BLOCKED),
        ("gameball-disabled-422", Failure.BLOCKED),
    ],
)
def test_a_read_that_told_nothing_says_why(
    sandbox: SandboxServer, client: GameballClient, path: str, kind: str, failure: Failure
) -> None:
    sandbox.books.faults.add(Fault(kind=kind, path=path, seconds=2.0))

    with pytest.raises(NotReadable) as caught:
        READERS[path](client)

    assert caught.value.failure is failure


def test_an_unknown_customer_is_a_refusal(client: GameballClient) -> None:
    with pytest.raises(NotReadable) as caught:
        read_progress(client, "missing-ann", 7)

    assert caught.value.failure is Failure.REFUSED


NAMES = st.sampled_from(
    [
        *("rewardsCampaignId", "achievedCount", "canAchieve", "rewardCampaignConfiguration"),
        *("rewards", "walletReward", "maxAchievement", "activation", "startDate"),
        *("transactions", "type", "achievedRewardCampaignId", "transactionTime", "points"),
        *("activities", "activityType", "campaignName", "activityDate", "activityTime"),
        *("hasMore", "gameballTransactionId", "activityId", "couponCode"),
    ]
)
WORDS = st.sampled_from(
    ["AchievementReward", "CampaignRewarded", "7", "2024-10-13T17:11:00", "October 20, 2024", "x"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=20,
)


@given(JSON | st.binary(max_size=60), st.sampled_from(sorted(READERS)))
def test_junk_is_read_or_refused_and_never_an_error(answer: Any, path: str) -> None:
    with suppress(NotReadable):
        assert READERS[path](Canned(answer)) is not None


def test_a_grant_of_any_number_is_a_grant() -> None:
    row = {
        "activityType": "CampaignRewarded",
        "campaignName": "  Follow   US ",
        "activityDate": "October 20, 2024",
        "activityTime": "19:27:33",
        "activityId": "77",
        "rewardPoints": "12.5",
    }

    [grant] = read_activities(Canned({"activities": [row]}), "ann").by_key["follow us"]

    assert grant == Grant(
        proof=Proof.ACTIVITY,
        reference="77",
        at=datetime(2024, 10, 20, 19, 27, 33, tzinfo=UTC),
        left_open=timedelta(seconds=1),
        points=12.5,
    )
