"""Read how often a customer has achieved a campaign, and whether they can again."""

from collections.abc import Mapping
from datetime import datetime

from app.domain.confirmation import Progress
from app.gameball import reading
from app.gameball.campaigns import points_of
from app.gameball.client import GameballClient
from app.gameball.reading import Failure, Json, NotReadable


def read_progress(
    client: GameballClient, customer_id: str, challenge_id: int | None = None
) -> Mapping[int, Progress]:
    """Return a customer's progress by campaign: in one of them, or in all that Gameball shows.

    Raises `NotReadable`. Source: GET customers/{customerId}/reward-campaigns-progress.
    """
    query = {} if challenge_id is None else {"campaignId": str(challenge_id)}
    path = reading.customer_path(customer_id, "reward-campaigns-progress")
    items = reading.get(client, path, query)
    if not isinstance(items, list):
        raise NotReadable(Failure.JUNK)
    found = ((_campaign_id(item), item) for item in reading.rows(items))
    return {number: _progress(item) for number, item in found if number is not None}


def _campaign_id(item: Json) -> int | None:
    return reading.whole(reading.field(item, "rewardsCampaignId"))


def _progress(item: Json) -> Progress:
    described = reading.field(item, "rewardCampaignConfiguration")
    campaign: Json = described if isinstance(described, dict) else {}
    active = reading.field(campaign, "activation")
    activation: Json = active if isinstance(active, dict) else {}
    achieved = reading.whole(reading.field(item, "achievedCount"))
    return Progress(
        achieved=achieved if achieved is None or achieved >= 0 else None,
        can_achieve=reading.truth(reading.field(item, "canAchieve")),
        most=_most(campaign),
        points=points_of(campaign),
        name=reading.text(reading.field(item, "rewardsCampaignName")),
        starts_at=_moment(reading.field(activation, "startDate")),
        ends_at=_moment(reading.field(activation, "endDate")),
    )


def _most(campaign: Json) -> int | None:
    most = reading.whole(reading.field(campaign, "maxAchievement"))
    if most is None and reading.truth(reading.field(campaign, "isRepeatable")) is False:
        return 1
    return most


def _moment(value: object) -> datetime | None:
    found = reading.moment(value)
    return found and found[0]
