"""Did an earlier submission land? Yes, no, or it cannot be known."""

import json
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from app.gameball.client import GameballClient, NoAnswer, NotSent, path_of


class Landed(Enum):
    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


def has_landed(
    client: GameballClient, customer_id: str, challenge_id: int, since: datetime, of_others: int = 0
) -> Landed:
    """Look for a reward of this campaign since a time, in two places.

    ``YES`` only for more rewards than ``of_others``, which other attempts may have earned since.
    ``NO`` only when Gameball counts no achievement at all: without a count from before the
    submission, a larger number may be an older one. ``[]`` means unknown, not no.
    Sources: GET customers/{id}/reward-campaigns-progress and GET transactions.
    """
    count = achieved_count(client, customer_id, challenge_id)
    if count == 0:
        return Landed.NO
    if _rewards_since(client, customer_id, challenge_id, since) > of_others:
        return Landed.YES
    return Landed.UNKNOWN


def achieved_count(client: GameballClient, customer_id: str, challenge_id: int) -> int | None:
    """How often the customer achieved the campaign; None when Gameball does not show it."""
    path = f"customers/{path_of(customer_id)}/reward-campaigns-progress"
    items = _get(client, path, {"campaignId": str(challenge_id)})
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict) and _number(item.get("rewardsCampaignId")) == challenge_id:
            return _number(item.get("achievedCount"))
    return None


def _rewards_since(
    client: GameballClient, customer_id: str, challenge_id: int, since: datetime
) -> int:
    query = {"customerId": customer_id, "direction": "+", "limit": "200"}
    answer = _get(client, "transactions", query)
    rows = answer.get("transactions") if isinstance(answer, dict) else None
    return sum(
        isinstance(row, dict)
        and row.get("type") == "AchievementReward"
        and _number(row.get("achievedRewardCampaignId")) == challenge_id
        and _is_since(row.get("transactionTime"), since)
        for row in (rows if isinstance(rows, list) else [])
    )


def _get(client: GameballClient, path: str, params: dict[str, str]) -> Any:
    try:
        reply = client.call("GET", path, params=params)
        return json.loads(reply.body) if reply.status == 200 else None
    except (NotSent, NoAnswer, ValueError, RecursionError):
        return None


def _number(value: object) -> int | None:
    """Gameball writes the same number as a number here and as a string there."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        return int(value)
    except ValueError:
        return None


def _is_since(value: object, since: datetime) -> bool:
    """Times are UTC, with or without an offset; Gameball keeps whole milliseconds or less."""
    if not isinstance(value, str):
        return False
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return False
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment >= since.replace(microsecond=0)
