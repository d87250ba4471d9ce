"""Kick: what happens in the channels of broadcasters that you name."""

from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Malformed, Reading, Reply
from app.platforms.kit.fields import dig, json_object, text
from app.platforms.kit.kinds import Kind, iso
from app.platforms.kit.options import SourceConfig, TokenRef
from app.platforms.kit.pairs import RsaScheme, as_rsa, rsa_key
from app.platforms.kit.places import Body, Header, SignedTime

MESSAGE_ID, SENT_AT = Header("Kick-Event-Message-Id"), Header("Kick-Event-Message-Timestamp")
IN_CHANNEL = partial(
    Kind, target="broadcaster.user_id", identity=("delivery",), time=iso("sent_at")
)
REDEEMED = IN_CHANNEL("redeem", "redeemer.user_id", target="reward.id", identity=("id",))


class KickSource(SourceConfig):
    secrets: tuple[Annotated[TokenRef, AfterValidator(as_rsa)], ...] = Field(
        default=(),
        description="Kick's public keys in PEM, to pin them; without any they are fetched.",
    )
    broadcasters: tuple[str, ...] = Field(
        min_length=1,
        description="User ids of the broadcasters whose events count. Kick signs for every app "
        "with one key: whoever runs another app can pass on what it was sent.",
    )
    key_url: str = Field(
        default="https://api.kick.com/public/v1/public-key",
        pattern=r"^(https://|http://127\.0\.0\.1[:/])",
        description="Where the key is fetched from.",
    )


class Kick(Adapter):
    """Type and version stand in headers that are not signed: only the body's shape is believed."""

    name = "kick"
    docs = "https://docs.kick.com/events/webhook-security"
    config: ClassVar[type[SourceConfig]] = KickSource
    schemes = (
        RsaScheme(
            Header("Kick-Event-Signature"),
            (MESSAGE_ID, b".", SENT_AT, b".", Body()),
            time=SignedTime(SENT_AT, "iso"),
        ),
    )
    accepted = Reply(200)
    # https://docs.kick.com/events/event-types
    kinds: ClassVar[dict[str, Kind]] = {
        "follow": IN_CHANNEL("follow", "follower.user_id", handle="follower.username"),
        "subscription": IN_CHANNEL("subscribe", "subscriber.user_id", handle="subscriber.username"),
        "renewal": IN_CHANNEL("renew", "subscriber.user_id", handle="subscriber.username"),
        "gifts": IN_CHANNEL("gift", "gifter.user_id", handle="gifter.username"),
        "kicks": IN_CHANNEL("cheer", "sender.user_id", handle="sender.username"),
        "chat": IN_CHANNEL("comment", "sender.user_id", handle="sender.username"),
        "redemption.accepted": REDEEMED,
    }

    @property
    def keys_url(self) -> str | None:
        return str(self.source.key_url)

    def published_keys(self, answer: bytes) -> tuple[bytes, ...]:
        key = dig(json_object(answer), "data.public_key")
        try:
            rsa_key(key if isinstance(key, str) else "")
        except ValueError as error:
            raise Malformed(str(error)) from None
        return (key.encode(),)

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
