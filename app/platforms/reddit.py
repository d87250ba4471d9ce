"""Reddit: posts and comments, passed on by a small Devvit app in your subreddit.

Reddit sends no webhooks. docs/reddit.md has the app, which signs and sends::

    {"type": "CommentCreate", "id": "t1_c", "author": {"id": "t2_a", "name": "ann"},
     "on": "t3_p", "subreddit": "brand", "at": "2026-01-01T00:00:00Z"}
"""

from dataclasses import replace
from functools import partial
from typing import ClassVar

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reading
from app.platforms.kit.fields import json_object, text
from app.platforms.kit.kinds import Kind, iso
from app.platforms.kit.places import Body, Item, SignedTime
from app.platforms.kit.schemes import HmacScheme

SIGNED_AT = Item("X-Vouch-Signature", "t")
WRITTEN = partial(Kind, actor="author.id", identity=("id",), time=iso("at"), handle="author.name")
POST, COMMENT = WRITTEN("post", target="subreddit"), WRITTEN("comment", target="on")


class Reddit(Adapter):
    """``secrets`` stand in the app's settings as well."""

    name = "reddit"
    docs = "https://developers.reddit.com/docs/capabilities/server/triggers"
    schemes = (
        HmacScheme(
            Item("X-Vouch-Signature", "v1"),
            (SIGNED_AT, b".", Body()),
            time=SignedTime(SIGNED_AT, "unix"),
        ),
    )
    forged_status = 401
    # https://developers.reddit.com/docs/capabilities/server/trigger-events
    kinds: ClassVar[dict[str, Kind]] = {
        "PostCreate": POST,
        "PostDelete": replace(POST, undone=True, undoes="PostCreate"),
        "CommentCreate": COMMENT,
        "CommentDelete": replace(COMMENT, undone=True, undoes="CommentCreate"),
    }

    def read(self, callback: Callback) -> Reading:
        body = json_object(callback.body)
        return Reading.of(self.read_word(text(body.get("type"), "type"), callback, body))
