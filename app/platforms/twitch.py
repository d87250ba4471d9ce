"""Twitch EventSub over webhooks."""

from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import Field

from app.domain.events import Event
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reading, Reply
from app.platforms.kit.days import days
from app.platforms.kit.event_mappings import EventMapping, iso
from app.platforms.kit.fields import iso_time, json_object, obj, text
from app.platforms.kit.options import SecretRef, SourceConfig, matching
from app.platforms.kit.places import Body, Header, SignedTime
from app.platforms.kit.schemes import HmacScheme

ID, SENT_AT = "Twitch-Eventsub-Message-Id", "Twitch-Eventsub-Message-Timestamp"
IN_CHANNEL = partial(
    EventMapping,
    actor="event.user_id",
    handle="event.user_login",
    target="event.broadcaster_user_id",
    target_aliases=("event.broadcaster_user_login",),
    time=iso("at"),
)
WHO = ("event.user_id", "event.broadcaster_user_id")
TIER = (*WHO, "event.tier")
AS_TAKEN = matching(r"[\x00-\x7f]{10,100}", "a Twitch secret has 10 to 100 ASCII characters")
# Statuses of an active subscription to events; any other status is its end.
# https://dev.twitch.tv/docs/api/reference/#get-eventsub-subscriptions
STANDING = (None, "enabled", "webhook_callback_verification_pending")


class TwitchSource(SourceConfig):
    secrets: tuple[Annotated[SecretRef, AS_TAKEN], ...] = Field(
        min_length=1, description="The secret of each subscription, of 10 to 100 ASCII characters."
    )


class Twitch(Adapter):
    name = "twitch"
    docs = "https://dev.twitch.tv/docs/eventsub/handling-webhook-events/"
    config: ClassVar[type[SourceConfig]] = TwitchSource
    tolerance_seconds = 600
    # Message-Type, Subscription-Type and Retry are not signed, so only the body is trusted.
    schemes = (
        HmacScheme(
            proof=Header("Twitch-Eventsub-Message-Signature"),
            signed=(Header(ID), Header(SENT_AT), Body()),
            prefix="sha256=",
            time=SignedTime(Header(SENT_AT), "iso"),
        ),
    )
    # https://dev.twitch.tv/docs/eventsub/eventsub-subscription-types/
    # Twitch may send one action under two message ids:
    # https://github.com/twitchdev/issues/issues/918
    kinds: ClassVar[dict[str, EventMapping]] = {
        "channel.follow": IN_CHANNEL(action="follow", identity=(*WHO, "at")),
        "channel.subscribe": IN_CHANNEL(
            action="subscribe", identity=(*TIER, "day"), former_identities=((*TIER, "day_before"),)
        ),
        # Two identical cheers are two actions: only the message's id distinguishes them.
        "channel.cheer": IN_CHANNEL(action="cheer", identity=("message",)),
    }

    def read(self, callback: Callback) -> Reading:
        body = json_object(callback.body)
        subscription = obj(body.get("subscription"), "subscription")
        if "challenge" in body:
            # The raw value as text/plain: a JSON or HTML answer fails the handshake.
            return Reading(
                reply=Reply(status=200, body=text(body["challenge"], "challenge")), handshake=True
            )
        status = subscription.get("status")
        if "event" not in body and "events" not in body and status not in STANDING:
            return Reading(notice=text(status, "subscription.status"))
        kind = text(subscription.get("type", "an event of another kind"), "subscription.type")
        if kind in self.kinds and "event" in body:
            return Reading.of(self._event(callback, kind, obj(body["event"], "event")))
        return Reading(ignored=(f"{kind} earns nothing",))

    def _event(self, callback: Callback, kind: str, event: dict[str, Any]) -> Event | str:
        if event.get("is_anonymous") is True:
            return f"{kind} by an anonymous account"
        if event.get("is_gift") is True:
            # This account received the subscription as a gift; somebody else paid for it.
            return f"{kind} was a gift to the account"
        message, sent_at = text(callback.header(ID), ID), callback.header(SENT_AT)
        # Only follows carry a time of their own; the message's time is signed as well.
        root = {"event": event, "message": message, "at": event.get("followed_at") or sent_at}
        if kind == "channel.subscribe":
            root |= days(iso_time(sent_at, SENT_AT))
        # Earlier versions used the plain message id as the key.
        return self.read_word(kind, callback, root, former_keys=(message,))
