"""Read the rewards in a customer's activities, which name a campaign without its id."""

from collections.abc import Iterable

from app.domain.confirmation import Grant, Proof
from app.gameball import reading
from app.gameball.client import GameballClient
from app.gameball.pages import PAGE, Page, page_of, reference_of
from app.gameball.reading import Json

REWARDED = "CampaignRewarded"


def read_activities(client: GameballClient, customer_id: str, after: int = 0) -> Page:
    """Return a page of the rewards in a customer's activities, by name. Raises `NotReadable`.

    Source: GET /api/{version}/integrations/customers/{customerId}/activities.
    """
    query = {"activityType": REWARDED, "limit": str(PAGE)}
    if after:
        query["startAfter"] = str(after)
    answer = reading.get(client, reading.customer_path(customer_id, "activities"), query)
    return page_of(answer, "activities", "activityId", after, _grants)


def key_of(name: str) -> str:
    return " ".join(name.lower().split())


def _grants(row: Json) -> Iterable[tuple[str, Grant | None]]:
    name = reading.text(reading.field(row, "campaignName"))
    if name is None or reading.field(row, "activityType") != REWARDED:
        return ()
    day, time = (reading.field(row, key) for key in ("activityDate", "activityTime"))
    at = reading.day_and_time(day, time)
    reference = reference_of(reading.field(row, "activityId"), at)
    if at is None:
        return ((key_of(name), None),)
    points = reading.number(reading.field(row, "rewardPoints"))
    if points is None:
        points = reading.number(reading.field(row, "points"))
    coupon = reading.text(reading.field(row, "couponCode"))
    moment, left_open = at
    grant = Grant(
        proof=Proof.ACTIVITY,
        reference=reference,
        at=moment,
        left_open=left_open,
        points=points,
        coupon=coupon,
    )
    return ((key_of(name), grant),)
