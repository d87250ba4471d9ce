"""List the sources with their last callbacks and their issues."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated

from flask import Blueprint, Response, url_for
from pydantic import Field

from app.domain.roles import Role
from app.domain.sources import Expected, IssueKind, Seen, Subscription, issues
from app.platforms.kit.adapter import Adapter
from app.schemas.fields import Documented, Schema
from app.steps import proxies
from app.steps.sources import Unrewarded, judged_seen, reasons_of, secrets_fitted
from app.web.api.openapi import operation
from app.web.auth import requires
from app.web.context import service
from app.web.reading_slots import takes_slot
from app.web.responses import reply

blueprint = Blueprint("sources", __name__)


class Issue(Schema):
    """Something that is wrong with a source."""

    kind: IssueKind
    text: str = Field(description="The same for a person to read.")


class SourceTrouble(Schema):
    """The former name of an issue."""

    ailment: IssueKind
    text: str


class LastRefusal(Schema):
    """The last callback or handshake that was refused; anyone can cause one."""

    at: datetime
    kind: Annotated[str, Documented({"enum": ["forged", "malformed", "too-large"]})]
    reason: str = Field(description="Why, without anything that was sent.")
    in_a_row: int = Field(description="How many were refused since the last that was believed.")


class LastNotice(Schema):
    """What the platform last said of the subscription itself, such as that it is revoked."""

    at: datetime
    notice: str


class SourceSubscription(Schema):
    """A promise of the platform that ends unless it is renewed in time."""

    topic: str
    granted_at: datetime | None
    lapses_at: datetime | None
    asked_at: datetime | None = Field(description="When we last asked for it to be renewed.")
    answer: str | None = Field(description="What went wrong when we last asked.")


class SourceSecret(Schema):
    """One of the source's secrets, by its place in the configuration."""

    option: str
    position: int = Field(description="From 0.")
    last_fitted_at: datetime | None = Field(
        description="When a callback was last proved by it; null: never yet. An old secret may go "
        "once the platform uses only the new one."
    )


class UnrewardedEvents(Schema):
    """Events that were taken and earned nothing, for one reason."""

    reason: str
    count: int
    first_at: datetime = Field(description="Since when they are counted.")
    last_at: datetime


class Source(Schema):
    """One configured source: what was last seen of it, and what is wrong."""

    name: str
    platform: str
    accounts: str = Field(description="The platform word that its accounts are linked under.")
    webhook_path: str = Field(description="Where the platform must send its callbacks.")
    last_event_at: datetime | None = Field(description="When it last told us something new.")
    last_callback_at: datetime | None = Field(
        description="When a callback was last believed, also one of no interest or known before."
    )
    last_handshake_at: datetime | None
    last_refusal: LastRefusal | None
    last_notice: LastNotice | None
    silent_seconds: float | None = Field(description="Since its last event.")
    silent_after_seconds: float | None = Field(
        description="How long may pass without a callback before it is called silent."
    )
    lapses_at: datetime | None = Field(description="When the first of its subscriptions ends.")
    subscriptions: list[SourceSubscription]
    issues: list[Issue] = Field(description="What is wrong with it, the gravest first.")
    troubles: list[SourceTrouble] = Field(
        deprecated=True, description="Deprecated: the same as `issues`, for one release."
    )
    secrets: list[SourceSecret]
    unrewarded: list[UnrewardedEvents] = Field(
        description="What was taken with a 2xx and earned nothing, by reason; the most frequent "
        "first. `GET /v1/events` finds single events, except those of kinds that are not read."
    )


class ServiceNotice(Schema):
    """Something that concerns all sources, or none."""

    at: datetime = Field(description="When it was last seen.")
    text: str = Field(description="What it means, and what to do, for a person to read.")


class Sources(Schema):
    """The sources of the configuration in use, by name."""

    items: list[Source]
    notices: list[ServiceNotice] = Field(
        description="What was seen of the service as a whole that somebody should look at."
    )


@blueprint.get("/v1/sources")
@requires(Role.VIEWER)
@operation(
    operation_id="listSources",
    summary="List the configured sources, what was last seen of each, and what is wrong",
    description="What came in the last second or two may be missing: it is written down together.",
    answers={200: Sources},
    tag="sources",
)
@takes_slot
def sources() -> Response:
    configuration, now = service().configuration, service().now()
    expected = configuration.expected
    with service().people.read() as connection:
        seen = judged_seen(connection, expected, now)
        reasons = reasons_of(connection, expected)
        fitted_at = secrets_fitted(connection, _secrets(configuration.sources))
        proxied = proxies.untrusted(connection, configuration.web.trusted_proxies, now)
    items = [
        _source(adapter, expected[name], seen[name], reasons[name], fitted_at, now)
        for name, adapter in sorted(configuration.sources.items())
    ]
    notices = [ServiceNotice(at=proxied[0], text=proxied[1])] if proxied else []
    return reply(Sources(items=items, notices=notices))


def _source(
    adapter: Adapter,
    expected: Expected,
    seen: Seen,
    reasons: Sequence[Unrewarded],
    fitted_at: Mapping[tuple[str, str], datetime],
    now: datetime,
) -> Source:
    name = adapter.source.name
    seen = seen.within(expected.topics)
    found = issues(seen, expected, now)
    return Source(
        name=name,
        platform=adapter.name,
        accounts=adapter.source.accounts or adapter.name,
        webhook_path=url_for("webhooks.webhook", source=name),
        last_event_at=seen.event_at,
        last_callback_at=seen.heard_at,
        last_handshake_at=seen.handshake_at,
        last_refusal=_refusal(seen),
        last_notice=LastNotice(at=seen.notice_at, notice=seen.notice or "")
        if seen.notice_at
        else None,
        silent_seconds=_seconds_since(seen.event_at, now),
        silent_after_seconds=expected.silent_after_seconds,
        lapses_at=seen.lapses_at,
        subscriptions=[_subscription(one) for one in seen.subscriptions],
        issues=[Issue(kind=issue.kind, text=issue.text) for issue in found],
        troubles=[SourceTrouble(ailment=issue.kind, text=issue.text) for issue in found],
        secrets=[
            SourceSecret(
                option=one.option,
                position=one.position,
                last_fitted_at=fitted_at.get((name, one.value)),
            )
            for one in adapter.secrets
        ],
        unrewarded=[UnrewardedEvents(**asdict(one)) for one in reasons],
    )


def _secrets(sources: Mapping[str, Adapter]) -> dict[str, list[str]]:
    return {name: [one.value for one in adapter.secrets] for name, adapter in sources.items()}


def _refusal(seen: Seen) -> LastRefusal | None:
    if seen.refused_at is None:
        return None
    return LastRefusal(
        at=seen.refused_at,
        kind=seen.refusal_kind or "",
        reason=seen.refusal_reason or "",
        in_a_row=seen.refusals_in_a_row,
    )


def _subscription(one: Subscription) -> SourceSubscription:
    return SourceSubscription(
        topic=one.topic,
        granted_at=one.granted_at,
        lapses_at=one.lapses_at,
        asked_at=one.asked_at,
        answer=one.answer,
    )


def _seconds_since(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max(0.0, (now - moment) / timedelta(seconds=1))
