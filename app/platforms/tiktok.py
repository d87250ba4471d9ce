"""TikTok: what people who authorised your app publish; comments on the brand's own videos."""

from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Malformed, Reading, Reply
from app.platforms.kit.fields import dig, json_object, text
from app.platforms.kit.kinds import Kind, unix
from app.platforms.kit.places import Body, Item, SignedTime
from app.platforms.kit.schemes import HmacScheme

SIGNED_AT = Item("TikTok-Signature", "t")
POST = partial(Kind, "post", "user_openid", time=unix("create_time"))
# Its owner may hide it and show it again as often as they like: it is one post.
PUBLIC = POST(target="content.post_id", identity=("content.post_id",))
# API for Business: nothing official was found of this shape. There, `user_openid` is the brand.
COMMENT = Kind(
    "comment",
    "content.unique_identifier",
    "content.video_id",
    ("content.comment_id",),
    unix("content.timestamp"),
)


class TikTok(Adapter):
    """``secrets`` are the app's client secrets. TikTok numbers people apart for each app."""

    name = "tiktok"
    docs = "https://developers.tiktok.com/doc/webhooks-verification"
    schemes = (
        HmacScheme(
            Item("TikTok-Signature", "s"),
            (SIGNED_AT, b".", Body()),
            time=SignedTime(SIGNED_AT, "unix"),
        ),
    )
    accepted = Reply(200)
    kinds: ClassVar[dict[str, Kind]] = {
        # https://developers.tiktok.com/doc/webhooks-events
        "video.publish.completed": POST(target="content.share_id", identity=("content.share_id",)),
        # https://developers.tiktok.com/doc/content-posting-api-reference-get-video-status
        "post.publish.publicly_available": PUBLIC,
        "post.publish.no_longer_publicaly_available": replace(
            PUBLIC, undone=True, undoes="post.publish.publicly_available"
        ),
        "comment.update.insert": COMMENT,
        "comment.update.delete": replace(COMMENT, undone=True, undoes="comment.update.insert"),
    }

    def read(self, callback: Callback) -> Reading:
        body = json_object(callback.body)
        word, content = text(body.get("event"), "event"), _content(body)
        if word == "comment.update":
            word = f"{word}.{text(dig(content, 'comment_action'), 'content.comment_action')}"
        return Reading.of(self.read_word(word, callback, {**body, "content": content}))


def _content(body: dict[str, Any]) -> dict[str, Any]:
    """JSON within JSON."""
    written = body.get("content")
    if not isinstance(written, str):
        raise Malformed("content is missing or not a string")
    return json_object(written.encode("utf-8", "surrogatepass"))
