"""VK: people's actions in a community, by its Callback API."""

from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from pydantic import Field as Option

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Forged, Reading, Reply
from app.platforms.kit.event_mappings import EventMapping, unix
from app.platforms.kit.fields import dig, joined, json_object, listed, obj, text
from app.platforms.kit.options import SourceConfig, TokenRef
from app.platforms.kit.places import Field
from app.platforms.kit.schemes import TokenScheme

OF_EVENT = partial(EventMapping, actor="person", identity=("event_id",))
JOIN = OF_EVENT(action="join", target="group_id")
LIKE = OF_EVENT(action="like", target="on")
COMMENT = OF_EVENT(
    action="comment",
    target="on",
    identity=("comment",),
    time=unix("date"),
    former_identities=(("event_id",),),
)
DONATION = OF_EVENT(action="donate", target="group_id")

# The target: VK's word for it in addresses, and the fields of its owner and number.
# https://dev.vk.com/ru/api/community-events/json-schema
COMMENTED = {
    "wall_reply_new": ("post", "post_owner_id", "post_id"),
    "photo_comment_new": ("photo", "photo_owner_id", "photo_id"),
    "video_comment_new": ("video", "video_owner_id", "video_id"),
    "market_comment_new": ("market", "market_owner_id", "item_id"),
    "board_post_new": ("topic", "topic_owner_id", "topic_id"),
}
# An administrator may have deleted the comment, and its author is not named.
DELETED = {word.removesuffix("_new") + "_delete": word for word in COMMENTED}
# The event lacks the time of the restoration.
RESTORED = {word.removesuffix("_new") + "_restore": word for word in COMMENTED}
TARGETS = {**COMMENTED, "poll_vote_new": ("poll", "owner_id", "poll_id")}
# People who asked to join, or who "may come" to an event, are not members yet.
JOINED = ("join", "accepted", "approved")


class VkSource(SourceConfig):
    group_id: str = Option(
        pattern=r"^\d{1,20}$", description="The community's id, without a minus."
    )
    confirmation: TokenRef = Option(
        description="The string that VK shows beside the server's address, to prove that it is "
        "yours. Another one for every server, and after a change of its settings."
    )


class Vk(Adapter):
    """Nothing is signed: anyone who learns the secret can forge. Make it long."""

    name = "vk"
    docs = "https://dev.vk.com/ru/api/callback/getting-started"
    config: ClassVar[type[SourceConfig]] = VkSource
    schemes = (TokenScheme(proof=Field("secret")),)
    secret_fields = ("secret",)
    public_options = ("confirmation",)
    unproven_bytes = 262_144  # a message may contain many forwarded ones
    accepted = Reply(status=200, body="ok")
    # VK repeats the event after any other answer, and stops calling after several of them.
    malformed_status = 200
    kinds: ClassVar[dict[str, EventMapping]] = {
        "group_join": JOIN,
        "group_leave": replace(JOIN, undone=True),
        "like_add": LIKE,
        "like_remove": replace(LIKE, undone=True),
        "wall_repost": OF_EVENT(action="repost", target="on", time=unix("date")),
        **dict.fromkeys(COMMENTED, COMMENT),
        **{
            word: replace(COMMENT, actor="nobody", target=None, time=None, undone=True, undoes=of)
            for word, of in DELETED.items()
        },
        "poll_vote_new": OF_EVENT(action="vote", target="on"),
        "donut_subscription_create": DONATION,
        "donut_subscription_cancelled": replace(DONATION, undone=True),
    }

    def handshake(self, callback: Callback) -> Reply | None:
        if b'"confirmation"' not in callback.body:
            return None
        body = callback.parsed(json_object)
        # This callback has no secret. The answer proves something only to VK.
        is_ours = body.get("type") == "confirmation" and self._is_ours(body)
        return (
            Reply(status=200, body=self.source.confirmation.get_secret_value()) if is_ours else None
        )

    def verify(self, callback: Callback) -> None:
        super().verify(callback)
        if not self._is_ours(callback.parsed(json_object)):
            raise Forged("group_id is not the configured community")

    def _is_ours(self, body: dict[str, Any]) -> bool:
        group = body.get("group_id")
        return isinstance(group, int | str) and str(group) == self.source.group_id

    def read(self, callback: Callback) -> Reading:
        body = callback.parsed(json_object)
        sort = text(body.get("type"), "type")
        word = RESTORED.get(sort, sort)
        if word not in self.kinds:
            return Reading(ignored=(f"{word} earns nothing",))
        content = obj(body.get("object"), "object")
        if word == "group_join" and content.get("join_type", "join") not in JOINED:
            return Reading(ignored=(f"{word} without being a member yet",))
        envelope = {"group_id": self.source.group_id, "event_id": body.get("event_id")}
        root = {**content, **envelope, "person": _person(content), "on": _target(word, content)}
        root["comment"] = _comment(word, content)
        if sort in RESTORED:
            root.pop("date", None)
        return Reading.of(self.read_word(word, callback, root))


def _person(content: dict[str, Any]) -> object:
    """Return the person who acted; None for a community, whose number is negative."""
    ids = (content.get(name) for name in ("from_id", "liker_id", "user_id"))
    person = next((number for number in ids if number is not None), None)
    return None if str(person).startswith("-") else person


def _comment(word: str, content: dict[str, Any]) -> str | None:
    """Return a comment's unique name: comments of one kind are numbered for each owner."""
    _, owner, _ = COMMENTED.get(DELETED.get(word, word), ("", "", ""))
    number = content.get("id")
    if not owner or number is None:
        return None
    return joined("_", content.get(owner, content.get("owner_id")), number)


def _target(word: str, content: dict[str, Any]) -> str | None:
    """Return the target as VK writes it in addresses: ``post-123456_77``."""
    if word.startswith("like_"):
        sort = text(content.get("object_type"), "object_type", 30)
        return _address(sort, content.get("object_owner_id"), content.get("object_id"))
    if word == "wall_repost":
        original = next(iter(listed(content.get("copy_history"))), None)
        return _address("post", dig(original, "owner_id"), dig(original, "id"))
    sort, owner, number = TARGETS.get(word, ("", "", ""))
    return _address(sort, content.get(owner), content.get(number)) if sort else None


def _address(sort: str, owner: object, number: object) -> str:
    return f"{sort}{text(owner, 'the owner', 30)}_{text(number, 'the number', 30)}"
