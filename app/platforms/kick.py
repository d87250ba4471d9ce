"""Kick: what happens in the channels of broadcasters that you name."""

from functools import partial
from typing import Any, ClassVar

from pydantic import Field

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reading, Reply
from app.platforms.kit.fields import dig, json_object, text
from app.platforms.kit.kinds import Kind, iso
from app.platforms.kit.options import SourceConfig
from app.platforms.kit.pairs import RsaScheme
from app.platforms.kit.places import Body, Header, SignedTime
from app.platforms.kit.published import PublishedSource

MESSAGE_ID, SENT_AT = Header("Kick-Event-Message-Id"), Header("Kick-Event-Message-Timestamp")
SIGNED = (MESSAGE_ID, b".", SENT_AT, b".", Body())
ID, SENT = ("delivery",), iso("sent_at")
IN_CHANNEL = partial(Kind, target="broadcaster.user_id", identity=ID, time=SENT)
BY_SENDER = partial(IN_CHANNEL, actor="sender.user_id", handle="sender.username")


class KickSource(PublishedSource):
    broadcasters: tuple[str, ...] = Field(
        min_length=1,
        description="User ids of the broadcasters whose events count. Kick signs for every app "
        "with one key: whoever runs another can pass on what it was sent, under another id.",
    )


class Kick(Adapter):
    """Type and version stand in headers that are not signed: only the body's shape is believed."""

    name = "kick"
    docs = "https://docs.kick.com/events/webhook-security"
    config: ClassVar[type[SourceConfig]] = KickSource
    schemes = (RsaScheme(Header("Kick-Event-Signature"), SIGNED, time=SignedTime(SENT_AT, "iso")),)
    keys_url = "https://api.kick.com/public/v1/public-key"
    key_path = "data.public_key"
    accepted = Reply(200)
    # https://docs.kick.com/events/event-types
    kinds: ClassVar[dict[str, Kind]] = {
        "follow": IN_CHANNEL("follow", "follower.user_id", handle="follower.username"),
        "subscription": IN_CHANNEL("subscribe", "subscriber.user_id", handle="subscriber.username"),
        "renewal": IN_CHANNEL("renew", "subscriber.user_id", handle="subscriber.username"),
        "gifts": IN_CHANNEL("gift", "gifter.user_id", handle="gifter.username"),
        "kicks": BY_SENDER("cheer"),
        "chat": BY_SENDER("comment", identity=("message_id",)),  # as every app is told it
        "redemption.accepted": Kind("redeem", "redeemer.user_id", "reward.id", ("id",), SENT),
    }

    def read(self, callback: Callback) -> Reading:
        body = json_object(callback.body)
        broadcaster = text(dig(body, "broadcaster.user_id"), "broadcaster.user_id")
        if broadcaster not in self.source.broadcasters:
            return Reading(ignored=("an event of a broadcaster that is not configured",))
        signed = {"delivery": MESSAGE_ID, "sent_at": SENT_AT}
        root = {**body, **{key: callback.header(at.name) for key, at in signed.items()}}
        return Reading.of(self.read_word(_word(body), callback, root, own=broadcaster))


def _word(body: dict[str, Any]) -> str:
    if "subscriber" in body:
        return "subscription" if body.get("duration") == 1 else "renewal"
    if "redeemer" in body:
        return f"redemption.{text(body.get('status'), 'status')}"
    shapes = {"follower": "follow", "gifter": "gifts", "gift": "kicks", "message_id": "chat"}
    return next((word for key, word in shapes.items() if key in body), "an event of another kind")
