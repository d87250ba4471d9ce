"""The endpoints that read."""

from collections.abc import Callable, Sequence

from flask import request

from app.sandbox import payloads, shapes
from app.sandbox.books import Books
from app.sandbox.customers import Customer
from app.sandbox.odd_writing import oddly
from app.sandbox.replies import (
    CAMPAIGN_ID_INVALID,
    CUSTOMER_NOT_FOUND,
    RefusalError,
    Reply,
    json_reply,
)
from app.sandbox.rewards import Grant
from app.sandbox.settings import Campaign

STATUSES = ("Active", "Pending", "Blocked", "Expired")
ACTIVITY_TYPES = (
    *("TierUpgraded", "TierDowngraded", "TierMigration", "CampaignRewarded", "SuccessfulAction"),
    *("Referral", "Referred", "ReferralBonusReward", "PaymentReward", "Refund", "Redemption"),
    *("Cancel", "Expiry", "Migration", "Lifetime", "Automation"),
)


def get_customer(books: Books, customer_id: str) -> Reply:
    return _reply(books, shapes.customer(_existing(books, customer_id)))


def get_progress(books: Books, customer_id: str) -> Reply:
    campaigns = _campaigns_asked_for(books, customer_id)
    _existing(books, customer_id)
    if payloads.one_of(request.args, "campaignType", ("reward", "game")) == "game":
        campaigns = []
    if not books.is_eligible(customer_id):
        campaigns = []
    rows = (_progress(books, customer_id, campaign) for campaign in campaigns)
    return _reply(books, [row for row in rows if row is not None])


def get_transactions(books: Books) -> Reply:
    direction = payloads.one_of(request.args, "direction", ("+", "-"))
    status = payloads.one_of(request.args, "status", STATUSES)
    grants = books.grants(request.args.get("customerId"))
    is_ours = direction != "-" and status in (None, "Active")
    rows = [grant for grant in grants if is_ours and grant.points]
    return _page(books, "transactions", rows, shapes.transaction)


def get_activities(books: Books, customer_id: str) -> Reply:
    return _page(books, "activities", _activities(books, customer_id), shapes.activity)


def count_activities(books: Books, customer_id: str) -> Reply:
    return _reply(books, {"count": len(_activities(books, customer_id))})


def list_campaigns(books: Books) -> Reply:
    campaigns: Sequence[Campaign] = books.settings.campaigns
    customer_id = request.args.get("customerId")
    if customer_id is not None:
        campaigns = [each for each in campaigns if books.can_achieve(customer_id, each)]
    return _reply(books, [shapes.campaign(each) for each in campaigns])


def _reply(books: Books, value: object) -> Reply:
    return json_reply(200, oddly(value) if books.settings.writes_oddly else value)


def _existing(books: Books, customer_id: str) -> Customer:
    customer = books.customer(customer_id)
    if customer is None:
        raise RefusalError(CUSTOMER_NOT_FOUND)
    return customer


def _campaigns_asked_for(books: Books, customer_id: str) -> list[Campaign]:
    asked = request.args.get("campaignId")
    if asked is None:
        touched = {grant.challenge_id for grant in books.grants(customer_id)}
        ids = sorted(touched | {campaign.id for campaign in books.settings.campaigns})
    else:
        ids = [payloads.whole_number(asked)]
        if ids[0] <= 0:
            raise RefusalError(CAMPAIGN_ID_INVALID)
    return [campaign for each in ids if (campaign := books.settings.campaign(each))]


def _progress(books: Books, customer_id: str, campaign: Campaign) -> shapes.Json | None:
    achieved_count = books.achieved_count(customer_id, campaign.id)
    is_hidden = campaign.visibility == "NotVisible"
    is_unearned = campaign.visibility == "VisibleIfEarned" and not achieved_count
    if is_hidden or is_unearned or not campaign.is_active:
        return None
    can_achieve = books.can_achieve(customer_id, campaign)
    return shapes.progress(campaign, achieved_count, can_achieve=can_achieve)


def _activities(books: Books, customer_id: str) -> list[Grant]:
    kind = payloads.one_of(request.args, "activityType", ACTIVITY_TYPES)
    _existing(books, customer_id)
    return books.grants(customer_id) if kind in (None, "CampaignRewarded") else []


def _page(
    books: Books, name: str, grants: list[Grant], shape: Callable[[Grant], shapes.Json]
) -> Reply:
    start_after, limit = payloads.page_of(request.args)
    rest = [grant for grant in grants if grant.number > start_after]
    rows = [shape(grant) for grant in rest[:limit]]
    return _reply(books, {name: rows, "count": len(rows), "hasMore": len(rest) > limit})
