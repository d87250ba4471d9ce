"""Viber: people's actions with your bot."""

from dataclasses import replace
from typing import ClassVar

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reading, Reply
from app.platforms.kit.event_mappings import EventMapping, unix_ms
from app.platforms.kit.fields import json_object, text
from app.platforms.kit.places import Header
from app.platforms.kit.schemes import HmacScheme

# The target is the bot whose token signs: the payload does not name it.
SUBSCRIBE = EventMapping(
    action="subscribe",
    actor="user.id",
    target=None,
    identity=("message_token",),
    time=unix_ms("timestamp"),
    handle="user.name",
)


class Viber(Adapter):
    """``secrets`` are the bot's authentication tokens.

    A person's id differs with each bot: sources for several bots need their own ``accounts``.
    """

    name = "viber"
    docs = "https://developers.viber.com/docs/api/rest-bot-api/#callbacks"
    schemes = (HmacScheme(proof=Header("X-Viber-Content-Signature")),)
    accepted = Reply(status=200)
    # https://developers.viber.com/docs/api/rest-bot-api/#receive-message-from-user
    kinds: ClassVar[dict[str, EventMapping]] = {
        "subscribed": SUBSCRIBE,
        "unsubscribed": replace(SUBSCRIBE, actor="user_id", handle=None, undone=True),
        "message": replace(SUBSCRIBE, action="message", actor="sender.id", handle="sender.name"),
        # Opening the chat is not a subscription; the link that opened it may carry a context.
        "conversation_started": replace(SUBSCRIBE, action="start", target="context"),
    }

    def read(self, callback: Callback) -> Reading:
        body = json_object(callback.body)
        word = text(body.get("event"), "event")
        if word == "webhook":
            return Reading(handshake=True)
        if word == "conversation_started" and not body.get("context"):
            return Reading(ignored=(f"{word} by a link without a context",))
        return Reading.of(self.read_word(word, callback, body))
