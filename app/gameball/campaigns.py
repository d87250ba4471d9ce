"""List the campaigns of the account."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.answers import read_answer
from app.gameball import reading
from app.gameball.client import GameballClient, NoAnswer, NotSent

# https://docs.gameball.co names the type "Social Activities" in prose; this is its enum's word.
SOCIAL = "SocialMedia"


class Unreadable(Exception):  # noqa: N818 -- reads as the claim it makes
    """The campaigns could not be read; ``status`` and ``code`` are Gameball's, if it answered."""

    def __init__(self, reason: str, status: int | None = None, code: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """A reward campaign. ``most``: achievements by one customer; -1: any number, None: unknown."""

    id: int
    name: str
    type: str
    is_active: bool = True
    most: int | None = None
    points: float | None = None  # for each achievement; None: unknown

    @property
    def is_social(self) -> bool:
        return self.type == SOCIAL


def list_campaigns(client: GameballClient) -> dict[int, Campaign]:
    """Return every campaign by its id. Raises `Unreadable`.

    Source: GET /api/{version}/integrations/configurations/reward-campaigns.
    """
    try:
        reply = client.call("GET", "configurations/reward-campaigns")
    except (NotSent, NoAnswer) as error:
        raise Unreadable(str(error)) from None
    if reply.status != 200:
        answer = read_answer(reply.status, reply.body)
        raise Unreadable(answer.message or "no reason given", reply.status, answer.code)
    try:
        items = json.loads(reply.body)
    except (ValueError, RecursionError):
        items = None
    if not isinstance(items, list):
        raise Unreadable("the answer is not a list of campaigns", reply.status)
    campaigns = (_campaign(item) for item in items if isinstance(item, dict))
    return {campaign.id: campaign for campaign in campaigns if campaign is not None}


def points_of(campaign: Mapping[str, Any]) -> float | None:
    """Return what each achievement gives, if only points; None when the rewards are not shown."""
    rewards = list(reading.rows(reading.field(campaign, "rewards")))
    given = [reading.number(reading.field(reward, "walletReward")) for reward in rewards]
    return sum(amount for amount in given if amount is not None) if rewards else None


def _campaign(item: Mapping[str, Any]) -> Campaign | None:
    """Read the documented fields, and `isActive`, which is undocumented but present."""
    number = reading.whole(reading.field(item, "id"))
    most = reading.whole(reading.field(item, "maxAchievement"))
    if number is None:
        return None
    return Campaign(
        id=number,
        name=str(item.get("name") or ""),
        type=str(item.get("type") or ""),
        is_active=item.get("isActive") is not False,
        most=most,
        points=points_of(item),
    )
