"""Meta: Facebook Pages and Instagram, which use the same webhooks."""

from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field

from app.domain.events import Event
from app.platforms.kit.callback import Callback, Reading
from app.platforms.kit.event_mappings import EventMapping, unix, unix_ms
from app.platforms.kit.fields import compact_json, dig, json_object, listed, obj, read_each, text
from app.platforms.kit.meta_family import POLICY, HubAdapter, HubSource, updates
from app.platforms.kit.options import SourceConfig

IDENTITY = ("post_id", "comment_id", "from.id", "reaction_type", "created_time")
REACTION = EventMapping(
    action="like",
    actor="from.id",
    target="post_id",
    identity=IDENTITY,
    time=unix("created_time"),
    handle="from.name",
)
COMMENT = replace(REACTION, action="comment", identity=("comment_id",))
SHARE = replace(REACTION, action="share", identity=("share_id",))

# <object>.<field>[.<item>.<verb>]
# https://developers.facebook.com/docs/graph-api/webhooks/reference/page/#feed
KINDS = {
    "page.feed.reaction.add": REACTION,
    "page.feed.reaction.remove": replace(REACTION, undone=True),
    "page.feed.comment.add": COMMENT,
    "page.feed.comment.remove": replace(COMMENT, undone=True, undoes="page.feed.comment.add"),
    "page.feed.share.add": SHARE,
    "page.feed.share.remove": replace(SHARE, undone=True, undoes="page.feed.share.add"),
    # https://developers.facebook.com/docs/instagram-platform/webhooks/examples
    "instagram.comments": EventMapping(
        action="comment",
        actor="from.id",
        target="post",
        identity=("id",),
        time=unix("sent_at"),
        handle="from.username",
        target_aliases=("media.id",),
    ),
    "instagram.messaging.story_mention": EventMapping(
        action="mention",
        actor="sender.id",
        target="recipient.id",
        identity=("message.mid",),
        time=unix_ms("timestamp"),
    ),
}


class MetaSource(HubSource):
    pages: tuple[str, ...] = Field(
        default=(),
        description="Only events on the Pages and Instagram accounts with these ids count; by "
        "default on any that the app is subscribed to.",
    )


class Meta(HubAdapter):
    """A person's id differs on each Page: sources for several Pages need their own ``accounts``."""

    name = "meta"
    docs = "https://developers.facebook.com/docs/graph-api/webhooks/getting-started"
    config: ClassVar[type[SourceConfig]] = MetaSource
    kinds = KINDS
    terms = (POLICY,)
    narrowed_by: ClassVar[dict[str, frozenset[str]]] = {
        "pages": frozenset({"comment", "like", "share"})
    }
    also_known_as = ("facebook", "instagram")

    def read(self, callback: Callback) -> Reading:
        body = json_object(callback.body)
        sort = text(body.get("object"), "object")
        return read_each(updates(body), lambda update: self._update(callback, sort, *update))

    def _update(self, callback: Callback, sort: str, *update: Any) -> Event | str:
        entry, field, value = update
        attached = [dig(item, "type") for item in listed(dig(value, "message.attachments"))]
        mention = "story_mention" if "story_mention" in attached else None
        details = [dig(value, "item"), dig(value, "verb"), mention]
        word = ".".join([sort, text(field, "field"), *(w for w in details if isinstance(w, str))])
        if word not in KINDS:
            return f"{word} earns nothing"
        kind, own = KINDS[word], text(entry.get("id"), "entry.id")
        if word.startswith("page.feed.reaction") and dig(value, "comment_id"):
            # The reaction is to that comment, not to the post above it.
            kind = replace(kind, target="comment_id")
        # An Instagram comment has no time, and its id has either of two names. A boosted post is an
        # ad with a media id of its own beside the post's.
        root = {"id": dig(value, "comment_id"), **obj(value, "value"), "sent_at": entry.get("time")}
        root["post"] = dig(value, "media.original_media_id") or dig(value, "media.id")
        payload = compact_json({"object": sort, "entry": [entry]})
        result = self.read_as(kind, callback, word=word, root=root, payload=payload, own=own)
        if self.source.pages and own not in self.source.pages:
            return self.excluded(result, f"{word} on a page that is not configured")
        return result
