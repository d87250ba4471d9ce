"""Read the rewards in a customer's points transactions."""

from collections.abc import Iterable

from app.domain.confirmation import Grant, Proof
from app.gameball import reading
from app.gameball.client import GameballClient
from app.gameball.pages import PAGE, Page, page_of, reference_of
from app.gameball.reading import Json

REWARD = "AchievementReward"


def read_transactions(client: GameballClient, customer_id: str, after: int = 0) -> Page:
    """Return a page of the rewards that gave points, by campaign id. Raises `NotReadable`.

    Source: GET /api/{version}/integrations/transactions.
    """
    query = {"customerId": customer_id, "direction": "+", "limit": str(PAGE)}
    if after:
        query["startAfter"] = str(after)
    answer = reading.get(client, "transactions", query)
    return page_of(answer, "transactions", "gameballTransactionId", after, _grants)


def _grants(row: Json) -> Iterable[tuple[str, Grant | None]]:
    campaign = reading.whole(reading.field(row, "achievedRewardCampaignId"))
    if campaign is None or reading.field(row, "type") != REWARD:
        return ()
    at = reading.moment(reading.field(row, "transactionTime"))
    reference = reference_of(reading.field(row, "gameballTransactionId"), at)
    if at is None:
        return ((str(campaign), None),)
    moment, left_open = at
    return (
        (
            str(campaign),
            Grant(
                proof=Proof.TRANSACTION,
                reference=reference,
                at=moment,
                left_open=left_open,
                points=reading.number(reading.field(row, "points")),
                coupon=reading.text(reading.field(row, "couponCode")),
            ),
        ),
    )
