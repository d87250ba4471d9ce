"""The JSON of Gameball's campaigns, grants and customers."""

from datetime import UTC, datetime

from app.sandbox.customers import Customer
from app.sandbox.rewards import Grant
from app.sandbox.settings import Campaign

Json = dict[str, object]

# https://docs.gameball.co/api-reference/openapi.json, CustomerActivitiesResponse
EMPTY_ACTIVITY_FIELDS = (
    *("email", "phoneNumber", "displayName", "transactionId", "score"),
    *("reason", "calculatedRedemption", "actualRedemption"),
    *("familyRedemptionAmount", "familyRedemptionPoints", "paymentRewardAmount"),
    *("rewardThreshold", "currency", "redemptionRewardFactor"),
    *("campaignStartDate", "campaignEndDate", "tierName", "rewardFactor"),
    *("couponUsed", "couponType", "couponCode", "couponGroup"),
    *("couponProduct", "couponProductId", "productVariantName"),
)
PUBLIC_ATTRIBUTES = (
    *("gender", "country", "city", "zip", "custom", "tags", "source"),
    *("utms", "devices", "paymentMethods", "totalSpent", "totalOrders"),
)


def campaign(given: Campaign) -> Json:
    """Return an item of `configurations/reward-campaigns`."""
    return {
        "id": given.id,
        "name": given.name,
        "description": None,
        "isRepeatable": given.max_achievement != 1,
        "maxAchievement": given.max_achievement,
        "type": given.type,
        "visibility": given.visibility,
        "icon": None,
        "availability": {"minTier": 0, "tags": []},
        "redirectionButtonText": None,
        "redirectionButtonLink": None,
        "activation": None,
        "rewards": [_reward(given)],
    }


def progress(given: Campaign, achieved_count: int, *, can_achieve: bool) -> Json:
    configuration = campaign(given)
    configuration["widgetDetailsParameter"] = f"details_reward_campaign_{given.id}"
    del configuration["availability"]
    return {
        "rewardsCampaignName": given.name,
        "rewardsCampaignId": given.id,
        # Unlocked is not achieved: the documentation's own example has true beside a count of 0.
        "isUnlocked": True,
        "highScoreAmount": None,
        "currentStreak": None,
        "highestStreak": None,
        "completionPercentage": 100 if achieved_count else 0,
        "achievedCount": achieved_count,
        "canAchieve": can_achieve,
        "rewardCampaignConfiguration": configuration,
    }


def transaction(grant: Grant) -> Json:
    return {
        "transactionId": None,
        "gameballTransactionId": str(grant.number),
        "type": "AchievementReward",
        "direction": "+",
        "customerId": grant.customer_id,
        "points": grant.points,
        "amount": 0.0,
        # In UTC, but without an offset: "2024-10-13T17:11:00.249" in the documentation.
        "transactionTime": _moment(grant).replace(tzinfo=None).isoformat(timespec="milliseconds"),
        "status": "Active",
        "couponCode": None,
        "isCouponUsed": False,
        "couponType": None,
        "merchantName": None,
        "branchName": None,
        "reason": None,
        "achievementName": grant.campaign.name,
        "expiryDate": None,
        "pointsBalanceBefore": grant.balance_before,
        "pointsBalanceAfter": grant.balance_before + grant.points,
        "achievementType": grant.campaign.type,
        "achievedRewardCampaignId": str(grant.challenge_id),
        "achievedTierId": None,
    }


def activity(grant: Grant) -> Json:
    """An activity names the campaign without its id."""
    moment = _moment(grant)
    return dict.fromkeys(EMPTY_ACTIVITY_FIELDS) | {
        "activityId": grant.number,
        "activityType": "CampaignRewarded",
        "activityDay": f"{moment:%A}",
        "activityDate": f"{moment:%B} {moment.day}, {moment.year}",
        "activityTime": f"{moment:%H:%M:%S}",
        "customerId": grant.customer_id,
        "isManualActivity": False,
        "points": grant.points,
        "outstandingPoints": grant.points,
        "campaignName": grant.campaign.name,
        "campaignEnabled": grant.campaign.is_active,
        "rewardPoints": grant.points,
        "couponCode": grant.coupon,
        "isGuest": False,
    }


def achieved(grant: Grant) -> Json:
    """Return the body of an automation's webhook, as docs/gameball-webhooks.md defines it."""
    return {
        "event": "reward_campaign.achieved",
        "customer_id": grant.customer_id,
        "campaign_id": grant.challenge_id,
    }


def topic(name: str, grant: Grant, data: object) -> Json:
    """https://docs.gameball.co/api-reference/webhooks/webhook-topics"""
    return {
        "event": name,
        "client_id": "2155",
        "customer_id": grant.customer_id,
        "gb_customer_id": Customer(grant.customer_id).gameball_id,
        "created_at": _moment(grant).isoformat(timespec="milliseconds")[:-6] + "Z",
        "data": data,
    }


def notification(grant: Grant) -> Json:
    message = {"local": "en", "icon": None, "title": "Well done!", "body": grant.campaign.name}
    return topic("customer.notification.push", grant, [message])


def profile(grant: Grant) -> Json:
    total = grant.balance_before + grant.points
    data = {
        "email": f"{Customer(grant.customer_id).gameball_id}@sandbox.invalid",
        "mobile_number": None,
        "tier_name": "Bronze",
        "tier_order": 1,
        "referral_code": None,
        "referral_link": None,
        "activated_points": total,
        "pending_points": 0,
        "total_points": total,
    }
    return topic("customer.profile.updated", grant, data)


def customer(given: Customer) -> Json:
    """Return a customer without personal data, as the call without secret key shows it."""
    code = f"{given.gameball_id:08X}"
    link = f"https://sandbox.invalid/r/{code}"
    public = {key: given.attributes[key] for key in PUBLIC_ATTRIBUTES if key in given.attributes}
    return {
        "gameballId": given.gameball_id,
        "customerId": given.customer_id,
        "customerAttributes": public,
        "referralCode": code,
        "referralLink": link,
        "isReferred": False,
        "dynamicReferralLink": link,
    }


def _reward(given: Campaign) -> Json:
    return {
        "rankReward": 0,
        "walletReward": given.points,
        "walletRewardFactor": None,
        "couponReward": given.coupon and {"name": given.coupon},
    }


def _moment(grant: Grant) -> datetime:
    return datetime.fromtimestamp(grant.at, UTC)
