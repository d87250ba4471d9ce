"""Did it land: yes, no, or nobody can know?"""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.clock import utc_now
from app.gameball.client import GameballAccount, GameballClient, NoAnswer, NotSent, Reply
from app.gameball.progress import Landed, achieved_count, has_landed
from app.sandbox.faults import Fault
from app.sandbox.server import SandboxServer
from app.sandbox.settings import Campaign

LONG_AGO = utc_now() - timedelta(days=1)


def landed(client: GameballClient, **changes: Any) -> Landed:
    asked = {"customer_id": "ann", "challenge_id": 7, "since": LONG_AGO, **changes}
    return has_landed(client, **asked)


def test_a_reward_since_then_is_a_yes(client: GameballClient) -> None:
    since = utc_now()
    client.submit("ann", 7, None, None)

    assert landed(client, since=since) is Landed.YES


def test_no_achievement_at_all_is_a_no(client: GameballClient) -> None:
    client.submit("ann", 8, None, None)
    client.submit("bob", 7, None, None)

    assert landed(client) is Landed.NO


def test_an_achievement_from_before_proves_neither(client: GameballClient) -> None:
    client.submit("ann", 7, None, None)

    assert landed(client, since=utc_now() + timedelta(seconds=5)) is Landed.UNKNOWN


def test_a_reward_that_another_attempt_earned_is_no_yes(
    sandbox: SandboxServer, client: GameballClient
) -> None:
    sandbox.books.configure(dedup_window_seconds=0)
    client.submit("ann", 7, None, None)

    with_one = landed(client, of_others=1)
    client.submit("ann", 7, None, None)

    assert with_one is Landed.UNKNOWN
    assert landed(client, of_others=1) is Landed.YES


def test_a_grant_that_is_still_to_come_is_not_yet_a_yes(
    sandbox: SandboxServer, client: GameballClient
) -> None:
    sandbox.books.configure(grant_delay_seconds=300)
    client.submit("ann", 7, None, None)

    # A no, which is why nobody may act on it before things have settled.
    assert landed(client) is Landed.NO


@pytest.mark.parametrize(
    "campaign",
    [Campaign(7, visibility="NotVisible"), Campaign(7, is_active=False)],
    ids=["hidden", "inactive"],
)
def test_an_empty_list_is_no_no(
    sandbox: SandboxServer, client: GameballClient, campaign: Campaign
) -> None:
    sandbox.books.configure(campaigns=(campaign,))

    assert landed(client) is Landed.UNKNOWN


def test_a_hidden_campaign_shows_in_the_transactions(
    sandbox: SandboxServer, client: GameballClient
) -> None:
    sandbox.books.configure(campaigns=(Campaign(7, visibility="NotVisible"),))
    client.submit("ann", 7, None, None)

    assert landed(client) is Landed.YES


def test_a_customer_gameball_does_not_know_is_no_no(client: GameballClient) -> None:
    assert landed(client, customer_id="missing-ann") is Landed.UNKNOWN


@pytest.mark.parametrize("path", ["progress", "transactions"])
@pytest.mark.parametrize(
    "kind", ["timeout-before", "reset-before", "http-500", "html-200", "truncate", "redirect"]
)
def test_a_read_that_fails_is_no_no(
    sandbox: SandboxServer, client: GameballClient, kind: str, path: str
) -> None:
    since = utc_now()
    client.submit("ann", 7, None, None)
    sandbox.books.faults.add(Fault(kind, path=path, seconds=1.0))

    # Whatever could not be read, the other place may still tell; neither makes up a no.
    assert landed(client, since=since) is (Landed.YES if path == "progress" else Landed.UNKNOWN)


@pytest.mark.parametrize("kind", ["rate-limit", "unauthorized", "http-503-html"])
def test_a_read_that_is_refused_is_no_no(
    sandbox: SandboxServer, client: GameballClient, kind: str
) -> None:
    sandbox.books.faults.add(Fault(kind, count=2))

    assert landed(client) is Landed.UNKNOWN


@pytest.mark.parametrize(
    "customer_id", ["a/b", "..", ".", "a b?c", "ä#", "%2F", "x" * 100, "a\\b", "'--"]
)
def test_a_customer_id_of_any_kind_is_never_taken_for_another(
    sandbox: SandboxServer, client: GameballClient, customer_id: str
) -> None:
    client.submit("ann", 7, None, None)

    assert landed(client, customer_id=customer_id) is not Landed.YES


# What the documentation and the demos disagree about.


class Canned(GameballClient):
    """A client whose reads answer what the test says."""

    def __init__(self, progress: object, transactions: object = None) -> None:
        super().__init__(GameballAccount("https://gameball.test", "v4.1", "k", "s"))
        self.answers = {"transactions": transactions}
        self.progress = progress

    def call(
        self, method: str, path: str, *, json: object = None, params: dict[str, str] | None = None
    ) -> Reply:
        said = self.answers.get(path, self.progress)
        if isinstance(said, Exception):
            raise said
        return Reply(200, said if isinstance(said, bytes) else _json(said))


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("progress", "count"),
    [
        ([{"rewardsCampaignId": 7, "achievedCount": 0}], 0),
        ([{"rewardsCampaignId": "7", "achievedCount": "3"}], 3),
        ([{"rewardsCampaignId": 8, "achievedCount": 9}, {"rewardsCampaignId": 7}], None),
        ([{"rewardsCampaignId": 8, "achievedCount": 9}], None),
        ([{"rewardsCampaignId": 7, "achievedCount": None}], None),
        ([{"rewardsCampaignId": 7, "achievedCount": False}], None),
        ([{"rewardsCampaignId": 7, "achievedCount": 0.5}], None),
        ([5, None, {"rewardsCampaignId": 7, "achievedCount": 1, "isUnlocked": True}], 1),
        ([], None),
        ({}, None),
        ({"rewardsCampaignId": 7, "achievedCount": 0}, None),
        (None, None),
        (b"", None),
        (b"[" * 100_000, None),
        (NoAnswer("x"), None),
        (NotSent("x"), None),
    ],
)
def test_a_count_is_read_as_it_may_be_written(progress: object, count: int | None) -> None:
    client = Canned(progress)

    assert achieved_count(client, "ann", 7) == count


def reward(**changes: object) -> dict[str, object]:
    return {
        "type": "AchievementReward",
        "achievedRewardCampaignId": "7",
        "transactionTime": "2026-01-05T12:00:00.249",
        **changes,
    }


SINCE = LONG_AGO.replace(year=2026, month=1, day=5, hour=12, minute=0, second=0, microsecond=900)


@pytest.mark.parametrize(
    ("row", "answer"),
    [
        (reward(), Landed.YES),
        (reward(achievedRewardCampaignId=7), Landed.YES),
        (reward(transactionTime="2026-01-05T12:00:00Z"), Landed.YES),  # whole seconds
        (reward(transactionTime="2026-01-05T14:00:01+02:00"), Landed.YES),
        (reward(transactionTime="2026-01-05T12:00:00.2491234Z"), Landed.YES),
        (reward(transactionTime="2026-01-05T11:59:59.999"), Landed.UNKNOWN),
        (reward(transactionTime="2026-01-05T13:00:00+02:00"), Landed.UNKNOWN),
        (reward(transactionTime="yesterday"), Landed.UNKNOWN),
        (reward(transactionTime=None), Landed.UNKNOWN),
        (reward(transactionTime=1_767_614_400), Landed.UNKNOWN),
        (reward(type="ManualReward"), Landed.UNKNOWN),
        (reward(achievedRewardCampaignId="8"), Landed.UNKNOWN),
        (reward(achievedRewardCampaignId=None), Landed.UNKNOWN),
        ("junk", Landed.UNKNOWN),
    ],
)
def test_a_transaction_is_read_as_it_may_be_written(row: object, answer: Landed) -> None:
    client = Canned([], {"transactions": [None, row], "count": 1, "hasMore": False})

    assert landed(client, since=SINCE) is answer


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["rewardsCampaignId", "achievedCount", "transactions", "type", "transactionTime"]
            ),
            children,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(JSON | st.binary(max_size=60), JSON | st.binary(max_size=60))
def test_junk_is_never_a_yes_nor_an_error(progress: object, transactions: object) -> None:
    client = Canned(progress, transactions)

    assert landed(client) is not Landed.YES
