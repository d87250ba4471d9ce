"""The documented shapes of everything that can be read."""

from datetime import datetime

import pytest

from app.sandbox.books import Books
from app.sandbox.endpoints import ENDPOINTS
from app.sandbox.settings import Campaign
from tests.sandbox.conftest import API, KEYS, Caller, Clock

PROGRESS = "customers/ann/reward-campaigns-progress"


def test_progress_counts_what_has_landed(caller: Caller, clock: Clock) -> None:
    before = caller.progress()[0]
    caller.achieve()
    accepted = caller.progress()[0]
    clock.advance(1)
    after = caller.progress()[0]

    assert [row["achievedCount"] for row in (before, accepted, after)] == [0, 0, 1]
    assert after["rewardsCampaignId"] == 7
    assert after["canAchieve"] is True


def test_progress_has_the_documented_fields(caller: Caller) -> None:
    row = caller.progress()[0]

    assert sorted(row) == [
        *("achievedCount", "canAchieve", "completionPercentage", "currentStreak"),
        *("highScoreAmount", "highestStreak", "isUnlocked", "rewardCampaignConfiguration"),
        *("rewardsCampaignId", "rewardsCampaignName"),
    ]
    configuration = row["rewardCampaignConfiguration"]
    assert isinstance(configuration, dict)
    assert sorted(configuration) == [
        *("activation", "description", "icon", "id", "isRepeatable", "maxAchievement", "name"),
        *("redirectionButtonLink", "redirectionButtonText", "rewards", "type", "visibility"),
        "widgetDetailsParameter",
    ]
    assert configuration["type"] == "SocialMedia"


@pytest.mark.parametrize(
    "campaign",
    [Campaign(id=7, visibility="NotVisible"), Campaign(id=7, visibility="VisibleIfEarned")],
)
def test_progress_is_empty_for_what_the_customer_cannot_see(
    caller: Caller, books: Books, campaign: Campaign
) -> None:
    books.configure(campaigns=(campaign,))

    assert caller.progress() == []


def test_a_hidden_campaign_stays_hidden_although_it_paid(
    caller: Caller, books: Books, clock: Clock
) -> None:
    books.configure(campaigns=(Campaign(id=7, visibility="NotVisible"),))
    caller.achieve()
    clock.advance(1)

    assert caller.progress() == []
    assert books.achieved_count("ann", 7) == 1


def test_what_shows_once_earned_shows_once_earned(
    caller: Caller, books: Books, clock: Clock
) -> None:
    books.configure(campaigns=(Campaign(id=7, visibility="VisibleIfEarned"),))
    caller.achieve()
    clock.advance(1)

    assert [row["achievedCount"] for row in caller.progress()] == [1]


def test_progress_is_empty_for_the_unknown_the_inactive_and_the_excluded(
    caller: Caller, books: Books
) -> None:
    books.configure(
        campaigns=(Campaign(id=7), Campaign(id=8, is_active=False)),
        other_campaigns=False,
        inactive_customers=frozenset({"out"}),
    )

    assert caller.progress(campaign_id=9) == []
    assert caller.progress(campaign_id=8) == []
    assert caller.progress("out") == []


def test_progress_says_when_the_limit_is_reached(
    caller: Caller, books: Books, clock: Clock
) -> None:
    books.configure(campaigns=(Campaign(id=7, max_achievement=1),))
    caller.achieve()
    clock.advance(1)

    row = caller.progress()[0]

    assert (row["achievedCount"], row["canAchieve"]) == (1, False)


def test_progress_without_an_id_lists_the_configured_and_the_achieved(
    caller: Caller, books: Books, clock: Clock
) -> None:
    books.configure(campaigns=(Campaign(id=9),))
    caller.achieve(challenge_id=7)
    clock.advance(1)

    rows = caller.get(PROGRESS).get_json()

    assert [row["rewardsCampaignId"] for row in rows] == [7, 9]
    assert caller.get(PROGRESS, campaignType="game").get_json() == []
    assert caller.get(PROGRESS, campaignType="other").status_code == 422


@pytest.mark.parametrize(
    ("campaign_id", "status", "code"), [("0", 422, 3003), ("-4", 422, 3003), ("abc", 400, 3016)]
)
def test_progress_refuses_what_is_no_id(
    caller: Caller, campaign_id: str, status: int, code: int
) -> None:
    answer = caller.get(PROGRESS, campaignId=campaign_id)

    assert (answer.status_code, answer.get_json()["code"]) == (status, code)


def test_a_transaction_ties_a_grant_to_its_campaign(caller: Caller, clock: Clock) -> None:
    caller.achieve("ann", 7)
    caller.achieve("bob", 7)
    clock.advance(1)

    page = caller.get("transactions", customerId="ann", direction="+", status="Active").get_json()

    assert (page["count"], page["hasMore"]) == (1, False)
    row = page["transactions"][0]
    assert row["type"] == "AchievementReward"
    assert row["achievedRewardCampaignId"] == "7"
    assert row["customerId"] == "ann"
    assert row["transactionTime"] == "2026-01-01T00:00:01.000"
    assert (row["pointsBalanceBefore"], row["pointsBalanceAfter"]) == (0, 50)


def test_transactions_are_paged_by_their_ids(caller: Caller, clock: Clock) -> None:
    for challenge_id in (1, 2, 3):
        caller.achieve("ann", challenge_id)
    clock.advance(1)

    first = caller.get("transactions", customerId="ann", limit=2).get_json()
    last_id = first["transactions"][-1]["gameballTransactionId"]
    second = caller.get("transactions", customerId="ann", limit=2, startAfter=last_id).get_json()

    assert (first["count"], first["hasMore"]) == (2, True)
    assert (second["count"], second["hasMore"]) == (1, False)
    balances = [
        row["pointsBalanceAfter"] for page in (first, second) for row in page["transactions"]
    ]
    assert balances == [50, 100, 150]


@pytest.mark.parametrize("query", [{"direction": "-"}, {"status": "Pending"}, {"customerId": "x"}])
def test_transactions_are_filtered(caller: Caller, clock: Clock, query: dict[str, str]) -> None:
    caller.achieve()
    clock.advance(1)

    assert caller.get("transactions", **query).get_json()["transactions"] == []


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("direction=+", 422),  # not escaped, a plus is a space
        ("direction=up", 422),
        ("status=Lost", 422),
        ("limit=201", 422),
        ("limit=0", 422),
        ("limit=many", 400),
        ("startAfter=1_0", 400),
        ("limit=200&direction=%2B", 200),
    ],
)
def test_transactions_refuse_what_is_not_documented(
    caller: Caller, query: str, status: int
) -> None:
    answer = caller.client.get(f"{API}/transactions?{query}", headers=KEYS)

    assert answer.status_code == status


def test_an_achievement_without_points_leaves_an_activity_and_no_transaction(
    caller: Caller, books: Books, clock: Clock
) -> None:
    books.configure(campaigns=(Campaign(id=7, points=0),))
    caller.achieve()
    clock.advance(1)

    assert caller.get("transactions").get_json()["transactions"] == []
    assert caller.get("customers/ann/activities/count").get_json() == {"count": 1}


def test_an_activity_names_the_campaign_but_not_its_id(
    caller: Caller, books: Books, clock: Clock
) -> None:
    books.configure(campaigns=(Campaign(id=7, name="Follow us"),))
    caller.achieve()
    clock.advance(1)

    page = caller.get("customers/ann/activities", activityType="CampaignRewarded").get_json()

    assert (page["count"], page["hasMore"]) == (1, False)
    row = page["activities"][0]
    assert len(row) == 38
    assert row["campaignName"] == "Follow us"
    assert not any("CampaignId" in name for name in row)
    assert (row["activityDay"], row["activityDate"], row["activityTime"]) == (
        *("Thursday", "January 1, 2026", "00:00:01"),
    )


def test_activities_are_filtered_by_a_documented_type(caller: Caller, clock: Clock) -> None:
    caller.achieve()
    clock.advance(1)

    assert caller.get("customers/ann/activities", activityType="Refund").get_json()["count"] == 0
    assert caller.get("customers/ann/activities/count", activityType="Nope").status_code == 422


def test_a_customer_is_shown_without_personal_data(caller: Caller) -> None:
    attributes = {"email": "ann@example.com", "city": "Cairo"}
    created = caller.post("customers", {"customerId": "ann", "customerAttributes": attributes})

    shown = caller.get("customers/ann").get_json()

    assert created.status_code == 200
    assert created.get_json() == {"gameballId": shown["gameballId"]}
    assert shown["customerAttributes"] == {"city": "Cairo"}
    assert sorted(shown) == [
        *("customerAttributes", "customerId", "dynamicReferralLink", "gameballId"),
        *("isReferred", "referralCode", "referralLink"),
    ]


def test_an_upsert_adds_to_what_was_known(caller: Caller) -> None:
    caller.post("customers", {"customerId": "ann", "customerAttributes": {"city": "Cairo"}})
    caller.post("customers", {"customerId": "ann", "customerAttributes": {"country": "EG"}})

    shown = caller.get("customers/ann").get_json()

    assert shown["customerAttributes"] == {"city": "Cairo", "country": "EG"}


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        ({}, 400),
        (7, 400),
        ({"customerId": 1}, 422),
        ({"customerId": "a", "customerAttributes": [1]}, 422),
        ({"customerId": "a", "email": 1}, 422),
        ({"customerId": "a"}, 200),
    ],
)
def test_an_upsert_needs_a_customer_id_and_sound_attributes(
    caller: Caller, payload: object, status: int
) -> None:
    assert caller.post("customers", payload).status_code == status


@pytest.mark.parametrize("path", ["", "/activities", "/activities/count"])
def test_reading_an_unknown_customer_is_not_found(caller: Caller, path: str) -> None:
    answer = caller.get(f"customers/missing-1{path}")

    assert (answer.status_code, answer.get_json()["code"]) == (404, 7000)


@pytest.mark.parametrize("customer_id", ["a/b", "a//b", "ann@example.com", "Ünal", "a b", "100%"])
def test_a_customer_id_may_hold_anything(caller: Caller, customer_id: str, clock: Clock) -> None:
    caller.achieve(customer_id)
    clock.advance(1)
    escaped = customer_id.replace("%", "%25").replace("/", "%2F")

    assert caller.progress(escaped)[0]["achievedCount"] == 1
    assert caller.get(f"customers/{escaped}/activities/count").get_json() == {"count": 1}
    assert caller.get(f"customers/{escaped}").get_json()["customerId"] == customer_id


def test_the_configured_campaigns_are_listed_as_documented(caller: Caller, books: Books) -> None:
    books.configure(campaigns=(Campaign(id=7, points=20, max_achievement=1), Campaign(id=8)))

    first, second = caller.get("configurations/reward-campaigns").get_json()

    assert (first["id"], first["isRepeatable"], first["maxAchievement"]) == (7, False, 1)
    assert (second["isRepeatable"], second["maxAchievement"]) == (True, -1)
    assert first["rewards"][0]["walletReward"] == 20


def test_the_list_for_a_customer_holds_what_can_still_be_achieved(
    caller: Caller, books: Books, clock: Clock
) -> None:
    books.configure(campaigns=(Campaign(id=7, max_achievement=1), Campaign(id=8)))
    caller.achieve("ann", 7)
    clock.advance(1)

    listed = caller.get("configurations/reward-campaigns", customerId="ann").get_json()

    assert [campaign["id"] for campaign in listed] == [8]


@pytest.mark.parametrize("version", ["v4.0", "v4.1"])
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_the_secret_key_is_needed_where_documented(
    caller: Caller, endpoint: object, version: str
) -> None:
    named = next(each for each in ENDPOINTS if each is endpoint)
    path = f"/api/{version}/integrations/{named.path.replace('<path:customer_id>', 'ann')}"
    needs_secret = version == "v4.1" or named.name not in {"customers", "customer", "campaigns"}

    answer = caller.client.open(
        path, method=named.method, json={}, headers={"apikey": KEYS["apikey"]}
    )

    assert (answer.status_code == 401) == needs_secret
    if needs_secret:
        assert answer.get_json()["code"] == (1006 if named.name == "social-challenges" else 1001)


def test_every_resource_class_has_its_documented_limit(caller: Caller) -> None:
    def admitted(path: str) -> int:
        return [caller.get(path).status_code for _ in range(101)].count(200)

    assert admitted("customers/ann") == 100
    assert admitted("transactions") == 30
    assert admitted("configurations/reward-campaigns") == 30


def test_times_are_in_utc(caller: Caller, clock: Clock) -> None:
    caller.achieve()
    clock.advance(1)

    row = caller.get("transactions").get_json()["transactions"][0]

    assert datetime.fromisoformat(row["transactionTime"] + "+00:00").timestamp() == clock.now


def test_an_undocumented_path_is_answered_like_a_gateway_and_logged(
    caller: Caller, books: Books
) -> None:
    answer = caller.get("customers/ann/balance/of/nothing".replace("customers", "clients"))

    assert answer.status_code == 404
    assert answer.mimetype == "text/html"
    assert (books.calls()[0].endpoint, books.calls()[0].status) == ("undocumented", 404)
