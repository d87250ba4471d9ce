"""X: the Activity API and the old Account Activity API, which use different ids."""

import json
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from app.domain.events import Event
from app.platforms.kit import fields
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reading, Reply
from app.platforms.kit.event_mappings import At, EventMapping, iso, unix_ms
from app.platforms.kit.fields import dig, listed, obj, text
from app.platforms.kit.handshakes import safe_to_answer
from app.platforms.kit.options import SecretRef, SourceConfig
from app.platforms.kit.places import Header
from app.platforms.kit.schemes import HmacScheme
from app.platforms.kit.terms import Terms

DOCS = "https://docs.x.com"
PAY = "Developer Policy, Pay to engage: no monetary or virtual compensation for any action on X"
# https://docs.x.com/x-api/webhooks/introduction#signature-headers
HEADER = "X-Twitter-Webhooks-Signature"
CONSUMER = HmacScheme(proof=Header(HEADER), prefix="sha256=", encoding="base64")
OAUTH2 = replace(CONSUMER, proof=Header(f"{HEADER}-OAuth2"), secrets="oauth2_secrets")
CRC_KEYS = {"consumer": CONSUMER.secrets, "oauth2": OAUTH2.secrets}

FOLLOW = partial(
    EventMapping,
    action="follow",
    actor="payload.source.data.id",
    target="payload.target.data.id",
    identity=("event_uuid",),
    handle="payload.source.data.username",
)
MENTION = ("payload.id", "filter.user_id")
# The post is the action; event_uuid differs for each subscription.
POST = partial(EventMapping, actor="payload.author_id", identity=("payload.id",),
               time=iso("payload.created_at"),
               former_identities=(("event_uuid", "filter.user_id"),))  # fmt: skip
OLD_FOLLOW = partial(
    EventMapping,
    action="follow",
    actor="source.id",
    target="target.id",
    identity=("created_timestamp", "source.id", "target.id"),
    time=unix_ms("created_timestamp"),
    handle="source.screen_name",
)
OLD_TIME = partial(fields.formatted_time, pattern="%a %b %d %H:%M:%S %z %Y")
OLD_POST = partial(EventMapping, actor="user.id_str", identity=("id_str", "for_user_id"),
                   time=At(OLD_TIME, "created_at"), handle="user.screen_name")  # fmt: skip
LIKED = unix_ms("payload.timestamp_ms"), unix_ms("timestamp_ms")
KINDS = {
    # https://docs.x.com/x-api/activity/event-payloads
    "follow.follow": FOLLOW(),
    "follow.unfollow": FOLLOW(undone=True),
    "like.create": EventMapping(
        action="like",
        actor="liker",
        target="payload.liked_tweet_id",
        identity=("event_uuid",),
        time=LIKED[0],
    ),
    "post.repost.create": POST(action="repost", target="references.retweeted"),
    "post.quote.create": POST(action="quote", target="references.quoted"),
    "post.reply.create": POST(action="reply", target="references.replied_to"),
    "post.mention.create": POST(action="mention", target="filter.user_id", identity=MENTION),
    # https://docs.x.com/x-api/account-activity/introduction#payload-examples
    "follow_events.follow": OLD_FOLLOW(),
    "follow_events.unfollow": OLD_FOLLOW(undone=True),
    "favorite_events": EventMapping(
        action="like",
        actor="user.id_str",
        target="favorited_status.id_str",
        identity=("id",),
        time=LIKED[1],
    ),
    "tweet_create_events.repost": OLD_POST(action="repost", target="retweeted_status.id_str"),
    "tweet_create_events.quote": OLD_POST(action="quote", target="quoted_status.id_str"),
    "tweet_create_events.reply": OLD_POST(action="reply", target="in_reply_to_status_id_str"),
    "tweet_create_events.mention": OLD_POST(action="mention", target="for_user_id"),
}
ARRAYS = ("data", "follow_events", "favorite_events", "tweet_create_events")
# Conversations of others arrive as well, so these fields show who owns the referenced post.
OWNERS = {
    "repost": "retweeted_status.user.id_str",
    "quote": "quoted_status.user.id_str",
    "reply": "in_reply_to_user_id_str",
}


class XSource(SourceConfig):
    secrets: tuple[SecretRef, ...] = Field(default=(), description="Consumer secrets (API secret).")
    oauth2_secrets: tuple[SecretRef, ...] = Field(
        default=(), description="OAuth 2.0 client secrets; X prefers them where the app has one."
    )
    crc_key: Literal["consumer", "oauth2"] = Field(
        default="consumer", description="The option whose secret answers X's challenge."
    )

    @model_validator(mode="after")
    def _can_answer(self) -> Self:
        if not self.keys_of(CRC_KEYS[self.crc_key]):
            raise ValueError(f'crc_key = "{self.crc_key}" needs {CRC_KEYS[self.crc_key]}')
        return self


class X(Adapter):
    name = "x"
    docs = f"{DOCS}/x-api/webhooks/introduction"
    config: ClassVar[type[SourceConfig]] = XSource
    schemes = (OAUTH2, CONSUMER)
    accepted = Reply(status=200)
    handshake_within_seconds = (
        25 * 3_600
    )  # hourly or daily, depending on the page; after 28 h X disables us
    kinds = KINDS
    terms = (Terms(PAY, f"{DOCS}/developer-terms/policy"),)

    def handshake(self, callback: Callback) -> Reply | None:
        if callback.method != "GET" or "crc_token" not in callback.query:
            return None
        # The key that signs this answer also signs events, so the answer must not be an event.
        token = safe_to_answer(callback.query["crc_token"])
        key = self.source.keys_of(CRC_KEYS[self.source.crc_key])[0]
        answer = json.dumps({"response_token": CONSUMER.signature(token.encode(), key)})
        return Reply(status=200, body=answer, content_type="application/json")

    def read(self, callback: Callback) -> Reading:
        body = fields.json_object(callback.body)
        if "user_event" in body or dig(body, "data.event_type") == "oauth.revoke":
            return Reading(notice="an account revoked its permission")
        items = [(key, item) for key in ARRAYS for item in listed(body.get(key))] or [("data", {})]
        return fields.read_each(items, lambda item: self._event(callback, body, *item))

    def _event(self, callback: Callback, body: dict[str, Any], array: str, of: Any) -> Event | str:
        if array == "data":
            word, root = _activity(obj(of, array))
            own, payload = root["own"], callback.body
        else:
            own = text(body.get("for_user_id"), "for_user_id")
            payload = fields.compact_json({"for_user_id": own, array: [of]})
            word, root = _old(array, {**obj(of, array), "for_user_id": own}, own)
        return self.read_word(word, callback, root, payload=payload, own=own)


def _activity(data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the event's name, and the object for the paths in `KINDS`."""
    subscriber = fields.optional_text(dig(data, "filter.user_id"), "filter.user_id")
    author = fields.optional_text(dig(data, "payload.liked_tweet_author_id"), "the liked author")
    # A like of the subscriber's own post, or with an unknown author, does not say who liked it.
    inbound = dig(data, "filter.direction") == "inbound"
    liker = None if inbound or author in (None, subscriber) else subscriber
    posts = [post for post in listed(dig(data, "payload.referenced_tweets")) if dig(post, "type")]
    refers = {text(post["type"], "type"): post.get("id") for post in posts}
    root = {**data, "references": refers, "liker": liker, "own": subscriber if inbound else None}
    return text(data.get("event_type", "a post or another kind"), "event_type"), root


def _old(array: str, item: dict[str, Any], own: str) -> tuple[str, dict[str, Any]]:
    if array == "favorite_events":
        return array, item
    if array == "follow_events":
        return f"{array}.{text(item.get('type'), 'type')}", item
    reposted = item.get("retweeted_status")
    for word in ("repost",) if reposted else ("quote", "reply"):
        refers = dig(item, KINDS[f"{array}.{word}"].target or "")
        if refers and dig(item, OWNERS[word]) in (None, own):
            return f"{array}.{word}", item
    entities = (item.get("entities"), dig(item, "extended_tweet.entities"))
    mentions = [dig(user, "id_str") for of in entities for user in listed(dig(of, "user_mentions"))]
    # A repost mentions everybody that the original mentions.
    return f"{array}.{'mention' if own in mentions and not reposted else 'other'}", item
