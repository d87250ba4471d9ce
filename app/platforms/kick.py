"""Kick: events in the channels of broadcasters that you name."""

from functools import partial
from typing import Any, ClassVar

from pydantic import Field

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reading, Reply
from app.platforms.kit.days import days
from app.platforms.kit.encodings import fingerprint
from app.platforms.kit.event_mappings import EventMapping, iso
from app.platforms.kit.fields import dig, iso_time, json_object, listed, optional_text, text
from app.platforms.kit.key_pairs import RsaScheme
from app.platforms.kit.options import SourceConfig
from app.platforms.kit.places import Body, Header, SignedTime
from app.platforms.kit.published import PublishedSource

MESSAGE_ID, SENT_AT = Header("Kick-Event-Message-Id"), Header("Kick-Event-Message-Timestamp")
SIGNED = (MESSAGE_ID, b".", SENT_AT, b".", Body())
SENT, ID = iso("sent_at"), "delivery"
IN_CHANNEL = partial(
    EventMapping,
    target="broadcaster.user_id",
    target_aliases=("broadcaster.channel_slug",),
    time=SENT,
    former_identities=((ID,),),
)
FOLLOWER, MONTH = ("follower.user_id", "broadcaster.user_id"), ("subscriber.user_id", "duration")
BY_SUBSCRIBER = partial(
    IN_CHANNEL,
    actor="subscriber.user_id",
    handle="subscriber.username",
    # A renewal's `created_at` is when its subscription began.
    identity=(*MONTH, "broadcaster.user_id", "told_at", "expires_at"),
)
BY_SENDER = partial(IN_CHANNEL, actor="sender.user_id", handle="sender.username")
ACTORS = ("follower", "subscriber", "gifter", "sender", "redeemer")


class KickSource(PublishedSource):
    broadcasters: tuple[str, ...] = Field(
        min_length=1,
        description="User ids of the broadcasters whose events count. Kick signs for every app "
        "with one key: other apps' owners could replay events to us, under another id.",
    )


class Kick(Adapter):
    """Type and version are in unsigned headers, so only the body's shape is trusted."""

    name = "kick"
    docs = "https://docs.kick.com/events/webhook-security"
    config: ClassVar[type[SourceConfig]] = KickSource
    schemes = (
        RsaScheme(
            proof=Header("Kick-Event-Signature"), signed=SIGNED, time=SignedTime(SENT_AT, "iso")
        ),
    )
    keys_url = "https://api.kick.com/public/v1/public-key"
    key_path = "data.public_key"
    accepted = Reply(status=200)
    # https://docs.kick.com/events/event-types
    # Kick may report one action under several ids:
    # https://github.com/KickEngineering/KickDevDocs/issues/246
    kinds: ClassVar[dict[str, EventMapping]] = {
        "follow": IN_CHANNEL(
            action="follow",
            actor="follower.user_id",
            handle="follower.username",
            identity=(*FOLLOWER, "day"),
            former_identities=((*FOLLOWER, "day_before"), (ID,)),
        ),
        "subscription": BY_SUBSCRIBER(action="subscribe"),
        "renewal": BY_SUBSCRIBER(action="renew"),
        "gifts": IN_CHANNEL(
            action="gift",
            actor="gifter.user_id",
            handle="gifter.username",
            identity=("gifter.user_id", "broadcaster.user_id", "told_at", "given_to"),
        ),
        "kicks": BY_SENDER(
            action="cheer",
            identity=("sender.user_id", "broadcaster.user_id", "told_at", "gift.name"),
        ),
        # Every app gets the same message_id.
        "chat": BY_SENDER(action="comment", identity=("message_id",), former_identities=()),
        "redemption.accepted": EventMapping(
            action="redeem",
            actor="redeemer.user_id",
            target="reward.id",
            identity=("id",),
            time=SENT,
        ),
    }

    def read(self, callback: Callback) -> Reading:
        body = json_object(callback.body)
        broadcaster = optional_text(dig(body, "broadcaster.user_id"), "broadcaster.user_id")
        if broadcaster not in self.source.broadcasters:
            return Reading(ignored=("an event of a broadcaster that is not configured",))
        word = _word(body)
        if any(dig(body, f"{actor}.is_anonymous") is True for actor in ACTORS):
            return Reading(ignored=(f"{word} by an anonymous account",))
        sent_at, delivery = (callback.header(at.name) for at in (SENT_AT, MESSAGE_ID))
        given_to = fingerprint(*(dig(user, "user_id") for user in listed(body.get("giftees"))))
        # An action without a time of its own is identified by its delivery.
        root = {**body, "told_at": body.get("created_at") or delivery, "given_to": given_to}
        root |= {"sent_at": sent_at, ID: delivery, **days(iso_time(sent_at, SENT_AT.name))}
        return Reading.of(self.read_word(word, callback, root, own=broadcaster))


def _word(body: dict[str, Any]) -> str:
    if "subscriber" in body:
        return "subscription" if body.get("duration") == 1 else "renewal"
    if "redeemer" in body:
        return f"redemption.{text(body.get('status'), 'status')}"
    shapes = {"follower": "follow", "gifter": "gifts", "gift": "kicks", "message_id": "chat"}
    return next((word for key, word in shapes.items() if key in body), "an event of another kind")
