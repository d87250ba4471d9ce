"""GitHub: what people do with the repositories and organizations whose webhooks you own."""

from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reading
from app.platforms.kit.encodings import fingerprint
from app.platforms.kit.event_mappings import EventMapping, iso
from app.platforms.kit.fields import compact_json, dig, joined, json_or_payload, text
from app.platforms.kit.places import Header
from app.platforms.kit.schemes import HmacScheme
from app.platforms.kit.terms import Terms

IN_REPOSITORY = partial(
    EventMapping,
    target="repository.full_name",
    target_aliases=("lower.repository", "repository.id"),
)
# The header with the delivery's id is not signed: a replay could carry another.
BY_SENDER = partial(IN_REPOSITORY, actor="sender.id", identity=("digest",), handle="sender.login")
# Each webhook reports a star separately: the repository's and the organization's.
STAR = BY_SENDER(action="star", identity=("sender.id", "repository.id", "starred_at"),
                 time=iso("starred_at"), former_identities=(("digest",),))  # fmt: skip
# A moderator may have deleted it; the action always belongs to the author.
COMMENT = EventMapping(
    action="comment",
    actor="comment.user.id",
    target="thread",
    identity=("comment.id",),
    time=iso("comment.created_at"),
    handle="comment.user.login",
    target_aliases=("lower.thread", "thread_by_id"),
)
POST = IN_REPOSITORY(action="post", actor="discussion.user.id", handle="discussion.user.login",
                     identity=("discussion.id",), time=iso("discussion.created_at"))  # fmt: skip
SPONSOR = EventMapping(
    action="sponsor",
    actor="sponsorship.sponsor.id",
    target="sponsorship.sponsorable.login",
    identity=("sponsorship.node_id",),
    time=iso("sponsorship.created_at"),
    handle="sponsorship.sponsor.login",
    target_aliases=("lower.sponsorable", "sponsorship.sponsorable.id"),
)
MEMBER = EventMapping(
    action="join",
    actor="membership.user.id",
    target="organization.login",
    identity=("digest",),
    handle="membership.user.login",
    target_aliases=("lower.organization", "organization.id"),
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
# The account type of people.
NO_PEOPLE = ("Bot", "Organization", "Mannequin")
# A deleted object carries the time of its creation, not of its deletion.
GONE = partial(replace, time=None, undone=True)


class GitHub(Adapter):
    """The event's name is in an unsigned header, so only the body's shape is trusted."""

    name = "github"
    docs = "https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries"
    schemes = (HmacScheme(proof=Header("X-Hub-Signature-256"), prefix="sha256="),)
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
    kinds: ClassVar[dict[str, EventMapping]] = {
        "star.created": STAR,
        "star.deleted": BY_SENDER(action="star", undone=True),
        "fork": BY_SENDER(action="fork", identity=("forkee.id",), time=iso("forkee.created_at")),
        "watch.started": BY_SENDER(action="watch"),
        "comment.created": COMMENT,
        "comment.deleted": GONE(COMMENT, undoes="comment.created"),
        # Their ids are separate from those of comments on issues.
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
        if word not in self.kinds:
            return Reading(ignored=(f"{word} earns nothing",))
        kind = dig(body, self.kinds[word].actor.replace(".id", ".type"))
        if kind in NO_PEOPLE:
            return Reading(ignored=(f"{word} by a bot or an organization",))
        if word == "sponsorship.cancelled" and dig(body, "sponsorship.tier.is_one_time") is True:
            return Reading(ignored=("the end of a one-time sponsorship takes nothing back",))
        root = {**body, **_names(body), "digest": fingerprint(callback.body.hex())}
        own = None if "membership" in body else dig(body, "repository.owner.id")
        return Reading.of(self.read_word(word, callback, root, payload=compact_json(body), own=own))


def _names(body: dict[str, Any]) -> dict[str, Any]:
    """Return a thread's name, with all names in lower case: GitHub ignores their case."""
    number = dig(body, "issue.number") or dig(body, "discussion.number")
    thread = joined("#", dig(body, "repository.full_name"), number)
    named = {
        "repository": dig(body, "repository.full_name"),
        "thread": thread,
        "sponsorable": dig(body, "sponsorship.sponsorable.login"),
        "organization": dig(body, "organization.login"),
    }
    lower = {key: name.lower() for key, name in named.items() if isinstance(name, str)}
    by_id = joined("#", dig(body, "repository.id"), number)
    return {"thread": thread, "thread_by_id": by_id, "lower": lower}


def _word(body: dict[str, Any]) -> str:
    """Return our name for the event: the object that the body contains, and the action."""
    about = next((word for key, word in SHAPES.items() if key in body), "watch")
    if about == "comment":
        about = next((word for key, word in COMMENTED.items() if key in body), "commit_comment")
    if about == "fork":
        return about
    if body.get("action") is None:
        return "an event of another kind"
    return f"{about}.{text(body['action'], 'action')}"
