"""LINE: an Official Account, and the groups that it is in."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from pydantic import Field

from app.domain.events import Event
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reading, Reply
from app.platforms.kit.event_mappings import EventMapping, unix_ms
from app.platforms.kit.fields import (
    array,
    compact_json,
    dig,
    json_object,
    listed,
    obj,
    read_each,
    text,
)
from app.platforms.kit.options import SourceConfig
from app.platforms.kit.places import Header
from app.platforms.kit.schemes import HmacScheme

ID, AT = ("webhookEventId",), unix_ms("timestamp")
BY_USER = partial(EventMapping, actor="source.userId", target="destination", identity=ID, time=AT)
FOLLOW = BY_USER(action="follow")
JOIN = EventMapping(
    action="join", actor="member.userId", target="place", identity=(*ID, "member.userId"), time=AT
)
MEMBERSHIP = BY_USER(action="subscribe", target="membership.membershipId")
WRITTEN = partial(BY_USER, thing="message.id")
# The message's id is known, but not whether the message mentioned the account.
UNSENT = {"message": "message", "message.group": "comment", "message.mention": "mention"}


class LineSource(SourceConfig):
    groups: tuple[str, ...] = Field(
        default=(),
        description="Only events in the groups and rooms with these ids count; by default in "
        "any. Danger: strangers can invite the account into groups of their own.",
    )


class Line(Adapter):
    """A callback is a batch, which may be empty; redelivered events keep their id."""

    name = "line"
    docs = "https://developers.line.biz/en/docs/messaging-api/receiving-messages/"
    config: ClassVar[type[SourceConfig]] = LineSource
    schemes = (HmacScheme(proof=Header("x-line-signature"), encoding="base64"),)
    accepted = Reply(status=200)
    forged_status = 401
    deadline_seconds = 2
    # https://developers.line.biz/en/reference/messaging-api/#webhook-event-objects
    kinds: ClassVar[dict[str, EventMapping]] = {
        "follow": FOLLOW,
        # A person who unblocks the account has not become a friend by it.
        "follow.unblocked": replace(FOLLOW, action="unblock"),
        "unfollow": replace(FOLLOW, undone=True),
        "memberJoined": JOIN,
        "memberLeft": replace(JOIN, undone=True),
        "membership.joined": MEMBERSHIP,
        "membership.left": replace(MEMBERSHIP, undone=True),
        "membership.renewed": replace(MEMBERSHIP, action="renew"),
        "message": WRITTEN(action="message"),
        "message.mention": WRITTEN(action="mention"),
        "message.group": WRITTEN(action="comment", target="place"),
        **{
            f"unsend.{word}": BY_USER(
                action=action, target=None, thing="unsend.messageId", undone=True
            )
            for word, action in UNSENT.items()
        },
        "postback": BY_USER(action="postback"),
        "beacon": BY_USER(action="visit", target="beacon.hwid"),
        "videoPlayComplete": BY_USER(action="watch", target="videoPlayComplete.trackingId"),
    }

    def read(self, callback: Callback) -> Reading:
        body = json_object(callback.body)
        events = array(body.get("events"), "events")
        if not events:
            return Reading(handshake=True)
        to = body.get("destination")
        return read_each(_items(events), lambda item: self._event(callback, to, *item))

    def _event(self, callback: Callback, to: object, event: Any, item: object) -> Event | str:
        # The reply token allows its holder to write to the person.
        kept = {key: v for key, v in obj(event, "an event").items() if key != "replyToken"}
        place, groups = _place(event), self.source.groups
        root = {**kept, "destination": to, "place": place}
        word = f"unsend.{item}" if dig(event, "type") == "unsend" else _word(root)
        payload = compact_json({"destination": to, "events": [kept]})
        result = self.read_word(word, callback, {**root, "member": item}, payload=payload)
        if place and groups and place not in groups:
            return self.excluded(result, f"{word} in a group that is not configured")
        return result


def _items(events: list[Any]) -> Iterator[tuple[object, object]]:
    """Yield each event, once for each member in it, or for each word that an unsent message had."""
    for event in events:
        members = dig(event, "joined.members") or dig(event, "left.members")
        if dig(event, "type") == "unsend":
            words = ("message.group", "message.mention") if _place(event) else ("message",)
            yield from ((event, word) for word in words)
        else:
            yield from ((event, member) for member in (listed(members) if members else (None,)))


def _place(event: object) -> Any:
    """Return the group or room of the event."""
    return dig(event, "source.groupId") or dig(event, "source.roomId")


def _word(event: dict[str, Any]) -> str:
    sort = text(event.get("type"), "type")
    if sort == "follow" and dig(event, "follow.isUnblocked") is True:
        return "follow.unblocked"
    if sort == "membership":
        return f"membership.{text(dig(event, 'membership.type'), 'membership.type')}"
    if sort != "message" or event["place"] is None:
        return sort
    mentioned = listed(dig(event, "message.mention.mentionees"))
    # Only people who consented have ids; the account itself is marked with `isSelf`.
    is_us = (
        dig(user, "isSelf") is True or dig(user, "userId") == event["destination"]
        for user in mentioned
    )
    return "message.mention" if any(is_us) else "message.group"
