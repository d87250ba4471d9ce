"""GitHub: what people do with the repositories and organizations whose webhooks you own."""

from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reading
from app.platforms.kit.encodings import fingerprint
from app.platforms.kit.fields import compact_json, dig, joined, json_or_payload, text
from app.platforms.kit.kinds import Kind, iso
from app.platforms.kit.places import Header
from app.platforms.kit.schemes import HmacScheme
from app.platforms.kit.terms import Terms

# The header with the delivery's id is not signed: a replay could carry another.
BY_SENDER = partial(
    Kind,
    actor="sender.id",
    target="repository.full_name",
    identity=("digest",),
    handle="sender.login",
)
# Whoever deletes it may be a moderator: it is always the author's.
COMMENT = Kind(
    "comment",
    "comment.user.id",
    "thread",
    ("comment.id",),
    iso("comment.created_at"),
    "comment.user.login",
)
POST = Kind(
    "post",
    "discussion.user.id",
    "repository.full_name",
    ("discussion.id",),
    iso("discussion.created_at"),
    "discussion.user.login",
)
SPONSOR = Kind(
    "sponsor",
    "sponsorship.sponsor.id",
    "sponsorship.sponsorable.login",
    ("sponsorship.node_id",),
    iso("sponsorship.created_at"),
    "sponsorship.sponsor.login",
)
MEMBER = Kind(
    "join", "membership.user.id", "organization.login", ("digest",), None, "membership.user.login"
)
SHAPES = {
    "starred_at": "star",
    "forkee": "fork",
    "comment": "comment",
    "discussion": "discussion",
    "sponsorship": "sponsorship",
    "membership": "organization",
    "issue": "issue",
    "pull_request": "pull_request",
    "hook": "hook",
}
COMMENTED = {
    "issue": "comment",
    "discussion": "discussion_comment",
    "pull_request": "pull_request_review_comment",
}
# What is deleted carries the time when it was made, not when it was deleted.
GONE = partial(replace, time=None, undone=True)


class GitHub(Adapter):
    """The event's name stands in a header that is not signed: only the body's shape is believed."""

    name = "github"
    docs = "https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries"
    schemes = (HmacScheme(Header("X-Hub-Signature-256"), prefix="sha256="),)
    forged_status = 401
    deadline_seconds = 10
    terms = (
        Terms(
            "Acceptable Use Policies, 4: no activity that is incentivized by, or incentivizes "
            "inauthentic engagement with, rewards such as tokens, credits, gifts or other "
            "give-aways",
            "https://docs.github.com/en/site-policy/acceptable-use-policies/github-acceptable-use-policies",
        ),
    )
    # https://docs.github.com/en/webhooks/webhook-events-and-payloads
    kinds: ClassVar[dict[str, Kind]] = {
        "star.created": BY_SENDER("star", time=iso("starred_at")),
        "star.deleted": BY_SENDER("star", undone=True),
        "fork": BY_SENDER("fork", identity=("forkee.id",), time=iso("forkee.created_at")),
        "watch.started": BY_SENDER("watch"),
        "comment.created": COMMENT,
        "comment.deleted": GONE(COMMENT, undoes="comment.created"),
        # Numbered apart from those on issues.
        "discussion_comment.created": COMMENT,
        "discussion_comment.deleted": GONE(COMMENT, undoes="discussion_comment.created"),
        "discussion.created": POST,
        "discussion.deleted": GONE(POST, undoes="discussion.created"),
        "sponsorship.created": SPONSOR,
        "sponsorship.cancelled": GONE(SPONSOR, undoes="sponsorship.created"),
        "organization.member_added": MEMBER,
        "organization.member_removed": replace(MEMBER, undone=True),
    }

    def read(self, callback: Callback) -> Reading:
        body = json_or_payload(callback.body)
        if "zen" in body:
            return Reading(handshake=True)
        word = _word(body)
        if word == "hook.deleted":
            return Reading(notice="the webhook was deleted")
        actor = self.kinds[word].actor if word in self.kinds else "sender.id"
        if dig(body, actor.replace(".id", ".type")) == "Bot":
            return Reading(ignored=(f"{word} by a bot",))
        thread = dig(body, "issue.number") or dig(body, "discussion.number")
        digest = fingerprint(callback.body.hex())
        thread = joined("#", dig(body, "repository.full_name"), thread)
        root = {**body, "digest": digest, "thread": thread}
        own = None if "membership" in body else dig(body, "repository.owner.id")
        return Reading.of(self.read_word(word, callback, root, payload=compact_json(body), own=own))


def _word(body: dict[str, Any]) -> str:
    """What the event is called: what it is about, told by what it carries, and the action."""
    about = next((word for key, word in SHAPES.items() if key in body), "watch")
    if about == "comment":
        about = next((word for key, word in COMMENTED.items() if key in body), "commit_comment")
    if about == "fork":
        return about
    if body.get("action") is None:
        return "an event of another kind"
    return f"{about}.{text(body['action'], 'action')}"
