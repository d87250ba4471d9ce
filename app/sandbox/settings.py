"""The settings of the sandbox."""

from collections.abc import Mapping
from dataclasses import dataclass, field

SOCIAL = "SocialMedia"
LAST_CAMPAIGN_ID = 999_999


@dataclass(frozen=True)
class Limit:
    """How many calls a resource class may receive in any second and in any 30 seconds."""

    per_second: int = 30
    per_30_seconds: int = 360


# https://docs.gameball.co/api-reference/overview/rate-limiting
DOCUMENTED_LIMITS: Mapping[str, Limit] = {
    "customersGet": Limit(100, 1200),
    "customersPost": Limit(),
    "transactions": Limit(),
    "others": Limit(),
}


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """One reward campaign; `max_achievement` -1 means any number of times.

    `coupon` is the prefix of each grant's coupon code. Customers in `out_of_reach` see the
    campaign, but cannot achieve it.
    """

    id: int
    name: str = "Social campaign"
    points: int = 50
    max_achievement: int = -1
    is_active: bool = True
    type: str = SOCIAL
    visibility: str = "AlwaysVisible"
    coupon: str | None = None
    out_of_reach: frozenset[str] = frozenset()


# The webhooks that the dashboard can set up: the automation's, and the two topics.
FORMS = ("reward", "notification", "profile")


@dataclass(frozen=True, kw_only=True)
class Push:
    """Webhooks about every grant, posted to ``url`` ``delay_seconds`` after it.

    ``secret`` is in the header of the automation's webhook; the topics are signed with the secret
    key. ``copies`` of each form are sent, because a delivery may be repeated. ``campaigns`` None:
    all campaigns.
    """

    url: str
    secret: str = "sandbox-automation-secret"  # noqa: S105 - it opens nothing but the sandbox's tests
    forms: tuple[str, ...] = FORMS
    delay_seconds: float = 0.0
    copies: int = 1
    campaigns: tuple[int, ...] | None = None

    def tells_of(self, campaign_id: int) -> bool:
        return self.campaigns is None or campaign_id in self.campaigns


@dataclass(frozen=True, kw_only=True)
class SandboxSettings:
    """The sandbox's settings, at the start and while it runs.

    `known_customers` None: every customer exists whose id does not start with "missing".
    `campaigns` describes single campaigns; with `other_campaigns` every other id from 1 to 999999
    exists too, as an unlimited social campaign worth 50 points. `gameball_status` is None while the
    program is enabled, else the reported status. With `writes_oddly` reads write numbers as texts,
    swap letters in names as Gameball sometimes does, and add undocumented members. `push` None: no
    webhooks. `limits` names the resource classes whose limits differ from the documented ones.
    """

    dedup_window_seconds: float = 60.0
    grant_delay_seconds: float = 1.0
    grant_jitter_seconds: float = 0.0
    api_key: str = "sandbox-api-key"
    secret_key: str = "sandbox-secret-key"  # noqa: S105 - it opens nothing but the sandbox
    gameball_status: str | None = None
    limits: Mapping[str, Limit] = field(default_factory=dict)
    known_customers: frozenset[str] | None = None
    inactive_customers: frozenset[str] = frozenset()
    campaigns: tuple[Campaign, ...] = ()
    other_campaigns: bool = True
    writes_oddly: bool = False
    push: Push | None = None

    def limit_of(self, resource: str) -> Limit:
        return self.limits.get(resource, DOCUMENTED_LIMITS[resource])

    def campaign(self, campaign_id: int) -> Campaign | None:
        for campaign in self.campaigns:
            if campaign.id == campaign_id:
                return campaign
        if self.other_campaigns and 1 <= campaign_id <= LAST_CAMPAIGN_ID:
            return Campaign(id=campaign_id, name=f"Social campaign {campaign_id}")
        return None
