"""LINE: an Official Account, and the groups that it is in."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reading, Reply
from app.platforms.kit.fields import array, compact_json, dig, json_object, listed, obj, read_each
from app.platforms.kit.kinds import Kind, unix_ms
from app.platforms.kit.places import Header
from app.platforms.kit.schemes import HmacScheme

BY_USER = partial(
    Kind,
    actor="source.userId",
    target="destination",
    identity=("webhookEventId",),
    time=unix_ms("timestamp"),
)
FOLLOW = BY_USER("follow")
JOIN = BY_USER(
    "join", actor="member.userId", target="place", identity=("webhookEventId", "member.userId")
)
MEMBERSHIP = BY_USER("subscribe", target="membership.membershipId")


class Line(Adapter):
    """A callback is a batch that may be empty; redelivered events keep their id."""

    name = "line"
    docs = "https://developers.line.biz/en/docs/messaging-api/receiving-messages/"
    schemes = (HmacScheme(Header("x-line-signature"), encoding="base64"),)
    accepted = Reply(200)
    forged_status = 401
    deadline_seconds = 2
    # https://developers.line.biz/en/reference/messaging-api/#webhook-event-objects
    kinds: ClassVar[dict[str, Kind]] = {
        "follow": FOLLOW,
        # Whoever blocks and unblocks has not become a friend by it.
        "follow.unblocked": replace(FOLLOW, action="unblock"),
        "unfollow": replace(FOLLOW, undone=True),
        "memberJoined": JOIN,
        "memberLeft": replace(JOIN, undone=True),
        "membership.joined": MEMBERSHIP,
        "membership.left": replace(MEMBERSHIP, undone=True),
        "membership.renewed": replace(MEMBERSHIP, action="renew"),
        "message": BY_USER("message"),
        "message.mention": BY_USER("mention"),
        "message.group": BY_USER("comment", target="place"),
        "postback": BY_USER("postback"),
        "beacon": BY_USER("visit", target="beacon.hwid"),
        "videoPlayComplete": BY_USER("watch", target="videoPlayComplete.trackingId"),
    }

    def read(self, callback: Callback) -> Reading:
        body = json_object(callback.body)
        events = array(body.get("events"), "events")
        if not events:
            return Reading(handshake=True)
        items = _items(body.get("destination"), events)
        return read_each(items, lambda item: self.read_word(item[0], callback, **item[1]))


def _items(destination: object, events: list[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each event's word, what the kinds' paths lead into, and what is kept of it."""
    for event in events:
        # The reply token lets its holder write to the person.
        kept = {key: v for key, v in obj(event, "an event").items() if key != "replyToken"}
        payload = compact_json({"destination": destination, "events": [kept]})
        place = dig(event, "source.groupId") or dig(event, "source.roomId")
        root = {**kept, "destination": destination, "place": place}
        who = {"memberJoined": "joined", "memberLeft": "left"}.get(str(kept.get("type")))
        for member in listed(dig(event, f"{who}.members")) if who else (None,):
            yield _word(root), {"root": {**root, "member": member}, "payload": payload}


def _word(event: dict[str, Any]) -> str:
    sort = str(event.get("type"))
    if sort == "follow" and dig(event, "follow.isUnblocked") is True:
        return "follow.unblocked"
    if sort == "membership":
        return f"membership.{dig(event, 'membership.type')}"
    if sort != "message" or event["place"] is None:
        return sort
    mentioned = [dig(one, "userId") for one in listed(dig(event, "message.mention.mentionees"))]
    return "message.mention" if event["destination"] in mentioned else "message.group"
