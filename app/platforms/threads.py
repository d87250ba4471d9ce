"""Threads: replies to your posts, and mentions of you."""

from typing import Any, ClassVar

from app.domain.events import Event
from app.platforms.kit.callback import Callback, Reading
from app.platforms.kit.event_mappings import EventMapping, iso
from app.platforms.kit.fields import compact_json, dig, json_object, listed, read_each, text
from app.platforms.kit.meta_family import POLICY, HubAdapter

TIME = iso("value.timestamp")


class Threads(HubAdapter):
    """People are known only by their handles, which their owners may change."""

    name = "threads"
    docs = "https://developers.facebook.com/docs/threads/webhooks"
    terms = (POLICY,)
    # <topic>.<field>
    kinds: ClassVar[dict[str, EventMapping]] = {
        "moderate.replies": EventMapping(
            action="reply",
            actor="value.username",
            target="value.root_post.id",
            identity=("value.id",),
            time=TIME,
            handle="value.username",
        ),
        # It names the reply. No sample was found: the person who deleted it may be missing.
        "moderate.delete": EventMapping(
            action="reply",
            actor="value.username",
            target=None,
            identity=("value.id",),
            time=iso("value.deleted_at"),
            undone=True,
            undoes="moderate.replies",
        ),
        "interaction.mentions": EventMapping(
            action="mention",
            actor="value.username",
            target="target_id",
            identity=("value.id",),
            time=TIME,
            handle="value.username",
        ),
        "interaction.mentions.quote": EventMapping(
            action="quote",
            actor="value.username",
            target="target_id",
            identity=("value.id",),
            time=TIME,
            handle="value.username",
        ),
    }

    def read(self, callback: Callback) -> Reading:
        body = json_object(callback.body)
        topic = text(body.get("topic"), "topic")
        values = listed(body.get("values"))
        return read_each(values, lambda item: self._event(callback, body, topic, item))

    def _event(self, callback: Callback, body: Any, topic: str, item: Any) -> Event | str:
        word = f"{topic}.{text(dig(item, 'field'), 'field')}"
        if dig(item, "value.is_quote_post") is True and f"{word}.quote" in self.kinds:
            word = f"{word}.quote"
        root = {"target_id": body.get("target_id"), "value": dig(item, "value")}
        own = dig(item, "value.root_post.username") if topic == "moderate" else None
        payload = compact_json({**body, "values": item})
        return self.read_word(word, callback, root, payload=payload, own=own)
