"""Zalo: people who follow your Official Account or write to it."""

from dataclasses import replace
from typing import ClassVar

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reading, Reply
from app.platforms.kit.event_mappings import EventMapping, unix_ms
from app.platforms.kit.fields import json_object, text
from app.platforms.kit.places import Body, Field, Item, Key
from app.platforms.kit.schemes import HashScheme

TIME = unix_ms("timestamp")
# The id of the same person when logging in with the app.
ALIASES = ("user_id_by_app",)
FOLLOW = EventMapping(
    action="follow",
    actor="follower.id",
    target="oa_id",
    identity=("timestamp", "follower.id"),
    time=TIME,
    aliases=ALIASES,
)


class Zalo(Adapter):
    """``secrets`` are the Official Account's secret keys, which are not the app's secret.

    Zalo's person ids differ for each Official Account.
    """

    name = "zalo"
    docs = "https://developers.zalo.me/docs/official-account/webhook/tong-quan"
    # No tolerance: Zalo signs the event's time, and repeats a callback for twelve hours.
    schemes = (
        HashScheme(
            proof=Item("X-ZEvent-Signature", "mac"),
            signed=(Field("app_id"), Body(), Field("timestamp"), Key()),
        ),
    )
    unproven_bytes = 65_536
    accepted = Reply(status=200)
    deadline_seconds = 2
    # https://developers.zalo.me/docs/official-account/webhook/quan-tam/su-kien-nguoi-dung-quan-tam
    kinds: ClassVar[dict[str, EventMapping]] = {
        "follow": FOLLOW,
        "unfollow": replace(FOLLOW, undone=True),
        "user_send": EventMapping(
            action="message",
            actor="sender.id",
            target="recipient.id",
            identity=("message.msg_id",),
            time=TIME,
            aliases=ALIASES,
        ),
    }

    def read(self, callback: Callback) -> Reading:
        body = callback.parsed(json_object)
        word = text(body.get("event_name"), "event_name")
        if word.startswith("user_send_"):
            word = "user_send"
        return Reading.of(self.read_word(word, callback, body))
