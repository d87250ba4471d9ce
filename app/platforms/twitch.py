"""Twitch EventSub over webhooks."""

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, SecretStr

from app.domain.events import Event
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reading, Reply
from app.platforms.kit.fields import iso_time, json_object, label, obj, text
from app.platforms.kit.options import SecretRef, SourceConfig
from app.platforms.kit.places import Body, Header, SignedTime
from app.platforms.kit.schemes import HmacScheme

MESSAGE_ID = "Twitch-Eventsub-Message-Id"
MESSAGE_TIME = "Twitch-Eventsub-Message-Timestamp"

# https://dev.twitch.tv/docs/eventsub/eventsub-subscription-types/
ACTIONS = {
    "channel.follow": "follow",
    "channel.subscribe": "subscribe",
    "channel.cheer": "cheer",
}


def _as_twitch_takes_it(secret: SecretStr) -> SecretStr:
    value = secret.get_secret_value()
    if not (value.isascii() and 10 <= len(value) <= 100):
        raise ValueError("a Twitch secret has 10 to 100 ASCII characters")
    return secret


class TwitchSource(SourceConfig):
    secrets: tuple[Annotated[SecretRef, AfterValidator(_as_twitch_takes_it)], ...] = Field(
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
            prefix="sha256=",
            signed=(Header(MESSAGE_ID), Header(MESSAGE_TIME), Body()),
            time=SignedTime(Header(MESSAGE_TIME), "iso"),
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
        return self._notification(callback, kind, obj(body["event"], "event"))

    def _notification(self, callback: Callback, kind: str, event: dict[str, Any]) -> Reading:
        if kind not in ACTIONS:
            return Reading(ignored=(f"{kind} earns nothing",))
        if event.get("is_anonymous") is True:
            return Reading(ignored=(f"{kind} by an anonymous account",))
        if event.get("is_gift") is True:
            # The account named here received the subscription; somebody else paid for it.
            return Reading(ignored=(f"{kind} was a gift to the account",))
        return Reading((self._event(callback, ACTIONS[kind], event),))

    def _event(self, callback: Callback, action: str, event: dict[str, Any]) -> Event:
        sent_at = callback.headers.get(MESSAGE_TIME.lower())
        return self.event(
            callback,
            key=text(callback.headers.get(MESSAGE_ID.lower()), MESSAGE_ID),
            action=action,
            actor=text(event.get("user_id"), "event.user_id"),
            actor_handle=label(event.get("user_login")),
            target=text(event.get("broadcaster_user_id"), "event.broadcaster_user_id"),
            # Only follows carry a time of their own; the message's is signed as well.
            occurred_at=iso_time(event.get("followed_at") or sent_at, "event.followed_at"),
        )
