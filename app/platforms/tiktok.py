"""TikTok: publications by people who authorised your app; comments on the brand's own videos."""

from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Malformed, Reading, Reply
from app.platforms.kit.event_mappings import EventMapping, unix
from app.platforms.kit.fields import dig, json_object, text
from app.platforms.kit.places import Body, Item, SignedTime
from app.platforms.kit.schemes import HmacScheme

SIGNED_AT = Item("TikTok-Signature", "t")
POST = partial(EventMapping, action="post", actor="user_openid", time=unix("create_time"))
# Its owner may hide and show it as often as they like: it is one post.
PUBLIC = POST(target="content.post_id", identity=("content.post_id",))
COMMENTED = "comment.update"
# API for Business: no official sample of this shape was found. There, `user_openid` is the brand.
COMMENT = EventMapping(
    action="comment",
    actor="content.unique_identifier",
    target="content.video_id",
    identity=("content.comment_id",),
    time=unix("content.timestamp"),
)
# A later change of a comment; `content.timestamp` may still be the time of writing.
LATER = partial(replace, COMMENT, time=unix("create_time"))
HIDDEN = replace(PUBLIC, undone=True, undoes="post.publish.publicly_available")
GONE = LATER(undone=True, undoes="comment.update.insert")


class TikTok(Adapter):
    """``secrets`` are the app's client secrets. TikTok's person ids differ for each app."""

    name = "tiktok"
    docs = "https://developers.tiktok.com/doc/webhooks-verification"
    schemes = (
        HmacScheme(
            proof=Item("TikTok-Signature", "s"),
            signed=(SIGNED_AT, b".", Body()),
            time=SignedTime(SIGNED_AT, "unix"),
        ),
    )
    accepted = Reply(status=200)
    kinds: ClassVar[dict[str, EventMapping]] = {
        # https://developers.tiktok.com/doc/webhooks-events
        "video.publish.completed": POST(target="content.share_id", identity=("content.share_id",)),
        # https://developers.tiktok.com/doc/content-posting-api-reference-get-video-status
        "post.publish.publicly_available": PUBLIC,
        "post.publish.no_longer_publicaly_available": HIDDEN,  # TikTok's spelling
        "post.publish.no_longer_publicly_available": HIDDEN,
        "comment.update.insert": COMMENT,
        "comment.update.delete": GONE,
        "comment.update.set_to_hidden": GONE,
        "comment.update.set_to_public": LATER(same_as="comment.update.insert"),
    }

    def read(self, callback: Callback) -> Reading:
        body = json_object(callback.body)
        word = text(body.get("event", "an event of another kind"), "event")
        if word != COMMENTED and word not in self.kinds:
            # Its content may have any form, and is not always JSON.
            return Reading(ignored=(f"{word} earns nothing",))
        content, own = _content(body), None
        if word == COMMENTED:
            word = f"{word}.{text(dig(content, 'comment_action'), 'content.comment_action')}"
            own = body.get("user_openid")
        return Reading.of(self.read_word(word, callback, {**body, "content": content}, own=own))


def _content(body: dict[str, Any]) -> dict[str, Any]:
    """Parse the JSON text within the JSON body."""
    written = body.get("content")
    if isinstance(written, dict):
        return written
    if not isinstance(written, str):
        raise Malformed("content is missing or not a string")
    return json_object(written.encode("utf-8", "surrogatepass"))
