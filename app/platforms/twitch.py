"""Twitch EventSub over webhooks."""

from typing import Annotated, ClassVar

from pydantic import Field

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reading, Reply
from app.platforms.kit.fields import iso_time, json_object, label, obj, text
from app.platforms.kit.options import SecretRef, SourceConfig, matching
from app.platforms.kit.places import Body, Header, SignedTime
from app.platforms.kit.schemes import HmacScheme

ID, SENT_AT = "Twitch-Eventsub-Message-Id", "Twitch-Eventsub-Message-Timestamp"
# https://dev.twitch.tv/docs/eventsub/eventsub-subscription-types/
ACTIONS = {"channel.follow": "follow", "channel.subscribe": "subscribe", "channel.cheer": "cheer"}
AS_TAKEN = matching(r"[\x00-\x7f]{10,100}", "a Twitch secret has 10 to 100 ASCII characters")


class TwitchSource(SourceConfig):
    secrets: tuple[Annotated[SecretRef, AS_TAKEN], ...] = Field(
        min_length=1, description="The secret of each subscription, of 10 to 100 ASCII characters."
    )


class Twitch(Adapter):
    name = "twitch"
    docs = "https://dev.twitch.tv/docs/eventsub/handling-webhook-events/"
    config: ClassVar[type[SourceConfig]] = TwitchSource
    tolerance_seconds = 600
    # Message-Type, Subscription-Type and Retry are not signed: only the body is believed.
    schemes = (
        HmacScheme(
            Header("Twitch-Eventsub-Message-Signature"),
            (Header(ID), Header(SENT_AT), Body()),
            "sha256=",
            SignedTime(Header(SENT_AT), "iso"),
        ),
    )

    def read(self, callback: Callback) -> Reading:
        body = json_object(callback.body)
        subscription = obj(body.get("subscription"), "subscription")
        if "challenge" in body:
            # The raw value as text/plain: a JSON or HTML answer fails the handshake.
            return Reading(reply=Reply(200, text(body["challenge"], "challenge")), handshake=True)
        if "event" not in body:
            return Reading(notice=text(subscription.get("status"), "subscription.status"))
        kind = text(subscription.get("type"), "subscription.type")
        event = obj(body["event"], "event")
        if kind not in ACTIONS:
            return Reading(ignored=(f"{kind} earns nothing",))
        if event.get("is_anonymous") is True:
            return Reading(ignored=(f"{kind} by an anonymous account",))
        if event.get("is_gift") is True:
            # The account named here received the subscription; somebody else paid for it.
            return Reading(ignored=(f"{kind} was a gift to the account",))
        told = self.event(
            callback,
            key=text(callback.header(ID), ID),
            action=ACTIONS[kind],
            actor=text(event.get("user_id"), "event.user_id"),
            actor_handle=label(event.get("user_login")),
            target=text(event.get("broadcaster_user_id"), "event.broadcaster_user_id"),
            # Only follows carry a time of their own; the message's is signed as well.
            occurred_at=iso_time(event.get("followed_at") or callback.header(SENT_AT), SENT_AT),
        )
        return Reading((told,))
