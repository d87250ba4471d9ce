"""Reddit: posts and comments, sent by a small Devvit app in your subreddit."""

# Reddit sends no webhooks. The app in docs/reddit.md signs and sends:
#     {"type": "CommentCreate", "id": "t1_c", "author": {"id": "t2_a", "name": "ann"},
#      "on": "t3_p", "subreddit": "brand", "at": "2026-01-01T00:00:00Z"}

import re
from dataclasses import replace
from functools import partial
from typing import ClassVar

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reading
from app.platforms.kit.event_mappings import EventMapping, iso
from app.platforms.kit.fields import dig, json_object, optional_text, text
from app.platforms.kit.places import Body, Item, SignedTime
from app.platforms.kit.schemes import HmacScheme

SIGNED_AT = Item("X-Vouch-Signature", "t")
WRITTEN = partial(
    EventMapping,
    actor="author.id",
    identity=("full_id",),
    time=iso("at"),
    handle="author.name",
    aliases=("other_author",),
)
POST = WRITTEN(action="post", target="subreddit", target_aliases=("lower_subreddit",))
COMMENT = WRITTEN(action="comment", target="on", target_aliases=("other_on",))
ACCOUNT_ID, POST_ID, COMMENT_ID = "t2_", "t3_", "t1_"


class Reddit(Adapter):
    """``secrets`` are in the app's settings as well."""

    name = "reddit"
    docs = "https://developers.reddit.com/docs/capabilities/server/triggers"
    schemes = (
        HmacScheme(
            proof=Item("X-Vouch-Signature", "v1"),
            signed=(SIGNED_AT, b".", Body()),
            time=SignedTime(SIGNED_AT, "unix"),
        ),
    )
    forged_status = 401
    # https://developers.reddit.com/docs/capabilities/server/trigger-events
    kinds: ClassVar[dict[str, EventMapping]] = {
        "PostCreate": POST,
        "PostDelete": replace(POST, undone=True, undoes="PostCreate"),
        "CommentCreate": COMMENT,
        "CommentDelete": replace(COMMENT, undone=True, undoes="CommentCreate"),
        # A moderator reviewed it, and it is visible, perhaps again.
        "PostApprove": replace(POST, same_as="PostCreate"),
        "CommentApprove": replace(COMMENT, same_as="CommentCreate"),
    }

    def read(self, callback: Callback) -> Reading:
        body = json_object(callback.body)
        word = text(body.get("type", "a thing of another kind"), "type")
        if word not in self.kinds:
            return Reading(ignored=(f"{word} earns nothing",))
        subreddit = body.get("subreddit")
        own_prefix = POST_ID if self.kinds[word].action == "post" else COMMENT_ID
        root = {
            **body,
            "full_id": _full(own_prefix, body.get("id")),
            "other_author": _other(ACCOUNT_ID, dig(body, "author.id")),
            "other_on": _other(POST_ID, body.get("on")),
            "lower_subreddit": subreddit.lower() if isinstance(subreddit, str) else None,
        }
        return Reading.of(self.read_word(word, callback, root))


def _full(prefix: str, value: object) -> str | None:
    """Return an id in full, as Reddit writes it; some of its interfaces omit the prefix."""
    name = optional_text(value, "an id")
    return name if name is None or re.match(r"t\d_", name) else f"{prefix}{name}"


def _other(prefix: str, value: object) -> str | None:
    """Return the same id without its prefix, or with it."""
    full = _full(prefix, value)
    return full.removeprefix(prefix) if full == value and full is not None else full
