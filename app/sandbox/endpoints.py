"""The calls that Gameball documents."""

from collections.abc import Callable
from dataclasses import dataclass

from app.sandbox import reads, writes
from app.sandbox.calls import SOCIAL_CHALLENGES
from app.sandbox.replies import Reply


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A documented call. A fault's `path` is its `name`; the rate limit is by `resource`."""

    name: str
    resource: str
    method: str
    path: str
    answer: Callable[..., Reply]
    needs_secret: bool = True


def _get(name: str, path: str, answer: Callable[..., Reply], **more: bool) -> Endpoint:
    return Endpoint(
        name=name,
        resource="customersGet",
        method="GET",
        path=f"customers/<path:customer_id>{path}",
        answer=answer,
        **more,
    )


def _post(name: str, path: str, answer: Callable[..., Reply], **more: bool) -> Endpoint:
    return Endpoint(
        name=name,
        resource="customersPost",
        method="POST",
        path=f"customers{path}",
        answer=answer,
        **more,
    )


ENDPOINTS = (
    # The table of limits does not list social-challenges; its path makes it a customers POST.
    _post(SOCIAL_CHALLENGES, "/social-challenges", writes.achieve_social_challenge),
    _post("customers", "", writes.upsert_customer, needs_secret=False),
    _get("customer", "", reads.get_customer, needs_secret=False),
    _get("progress", "/reward-campaigns-progress", reads.get_progress),
    _get("activities", "/activities", reads.get_activities),
    _get("activities-count", "/activities/count", reads.count_activities),
    Endpoint(
        name="transactions",
        resource="transactions",
        method="GET",
        path="transactions",
        answer=reads.get_transactions,
    ),
    Endpoint(
        name="campaigns",
        resource="others",
        method="GET",
        path="configurations/reward-campaigns",
        answer=reads.list_campaigns,
        needs_secret=False,
    ),
)
