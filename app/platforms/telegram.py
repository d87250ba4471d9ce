"""Telegram: actions in chats where your bot is an administrator, and with the bot itself."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import Field

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Change, Reading, Reply
from app.platforms.kit.event_mappings import EventMapping, unix
from app.platforms.kit.fields import dig, joined, json_object, obj, text
from app.platforms.kit.options import SecretRef, SourceConfig, matching
from app.platforms.kit.places import Header
from app.platforms.kit.schemes import TokenScheme

# https://core.telegram.org/bots/api#chatmember
IS_IN = ("creator", "administrator", "member")
# https://core.telegram.org/bots/features#deep-linking
START_COMMAND = re.compile(r"/start ([A-Za-z0-9_-]{1,64})")
AS_TAKEN = matching(
    r"[A-Za-z0-9_-]{1,256}", "a secret token has 1 to 256 of the characters A-Z, a-z, 0-9, _ and -"
)
# With its time: after a quiet week Telegram restarts update ids, perhaps at a used number.
ID, AT = ("update_id", "date"), unix("date")
BY = partial(EventMapping, identity=ID, time=AT)
BY_SENDER = partial(BY, actor="from.id", handle="from.username")
BY_USER = partial(BY, actor="user.id", handle="user.username")
MEMBER = "new_chat_member.user"
JOIN = BY(action="join", actor=f"{MEMBER}.id", target="chat.id", handle=f"{MEMBER}.username")
START = BY_SENDER(action="subscribe", target=f"{MEMBER}.id")
LIKE = BY_USER(action="like", target="post")
VOTE = BY_USER(action="vote", target="poll_id", identity=("update_id",), time=None)
BOOSTER = "source.user"
BOOST = BY(action="boost", actor=f"{BOOSTER}.id", target="chat.id", identity=("boost_id",),
           handle=f"{BOOSTER}.username")  # fmt: skip


class TelegramSource(SourceConfig):
    secrets: tuple[Annotated[SecretRef, AS_TAKEN], ...] = Field(
        min_length=1, description="The secret_token of your setWebhook call."
    )
    names: tuple[Annotated[str, Field(pattern=r"^@\w{4,32}$")], ...] = Field(
        default=(), description="Names, such as @brand, that groups may mention."
    )
    chats: tuple[str, ...] = Field(
        default=(),
        description="Only events in the chats with these ids count; by default in any. "
        "Danger: strangers can add the bot to their own groups.",
    )


class Telegram(Adapter):
    """Nothing is signed: anyone who learns the token can forge. Make it long."""

    name = "telegram"
    docs = "https://core.telegram.org/bots/api#setwebhook"
    config: ClassVar[type[SourceConfig]] = TelegramSource
    schemes = (TokenScheme(proof=Header("X-Telegram-Bot-Api-Secret-Token")),)
    accepted = Reply(status=200)
    # Telegram repeats an update after any other answer, and delays all later ones.
    malformed_status = 200
    # <field of the update>.<what happened>
    kinds: ClassVar[dict[str, EventMapping]] = {
        "chat_member.in": JOIN,
        "chat_member.out": replace(JOIN, undone=True),
        "my_chat_member.in": START,
        "my_chat_member.out": replace(START, undone=True),
        "chat_join_request.told": BY_SENDER(action="join-request", target="chat.id"),
        "message_reaction.in": LIKE,
        "message_reaction.out": replace(LIKE, undone=True),
        "poll_answer.in": VOTE,
        "poll_answer.out": replace(VOTE, undone=True),
        "chat_boost.told": BOOST,
        "removed_chat_boost.told": replace(BOOST, undone=True, undoes="chat_boost.told"),
        "message.start": BY_SENDER(action="start", target="payload"),
        "message.mention": BY_SENDER(action="mention", target="name"),
        "message.comment": BY_SENDER(action="comment", target="chat.id"),
    }

    @property
    def named_ids(self) -> tuple[str, ...]:
        return self.source.chats  # type: ignore[no-any-return]

    def read(self, callback: Callback) -> Reading:
        update = json_object(callback.body)
        field = next((field for field in FIELDS if field in update), None)
        if field is None:
            return Reading(ignored=("an update of another kind",))
        content = obj(update[field], field)
        chat, chats = obj(content.get("chat", {}), "chat"), self.source.chats
        change = _upgrade(content, chat)
        if change is not None:
            return Reading(ignored=(f"{field} that a group became a supergroup",), change=change)
        word, more = FIELDS[field](content, self.source.names)
        root = {**content, **more, "update_id": update.get("update_id")}
        result = self.read_word(f"{field}.{word}", callback, root)
        if chats and chat and chat.get("type") != "private" and str(chat.get("id")) not in chats:
            result = self.excluded(result, f"{field} in a chat that is not configured")
        return Reading.of(result)


Parsed = tuple[str, dict[str, Any]]


# https://core.telegram.org/bots/api#message
def _upgrade(content: dict[str, Any], chat: dict[str, Any]) -> Change | None:
    """Return the new id of a group that became a supergroup, if this says so."""
    old, new = chat.get("id"), content.get("migrate_to_chat_id")
    if new is None:
        old, new = content.get("migrate_from_chat_id"), chat.get("id")
    if old is None or new is None:
        return None
    return Change(text(old, "the group's id"), text(new, "the supergroup's id"))


def _vote(content: dict[str, Any], _: Sequence[str]) -> Parsed:
    """A vote in the name of a channel names one account, the same for all channels."""
    if "voter_chat" in content:
        return "channel", {}
    return "in" if content.get("option_ids") else "out", {}


def _turn(before: object, after: object) -> str:
    return "changed" if bool(before) == bool(after) else "in" if after else "out"


def _membership(content: dict[str, Any], _: Sequence[str]) -> Parsed:
    """A promotion looks like a join: only people who were out before have come in."""
    return _turn(*(_is_in(dig(content, f"{when}_chat_member")) for when in ("old", "new"))), {}


def _member(content: dict[str, Any], names: Sequence[str]) -> Parsed:
    is_bot = dig(content, f"{MEMBER}.is_bot") is True
    return ("bot", {}) if is_bot else _membership(content, names)


def _is_in(member: object) -> bool:
    status = dig(member, "status")
    return status in IS_IN or (status == "restricted" and dig(member, "is_member") is True)


def _with_the_bot(content: dict[str, Any], names: Sequence[str]) -> Parsed:
    is_private = dig(content, "chat.type") == "private"
    return _membership(content, names) if is_private else ("elsewhere", {})


def _reaction(content: dict[str, Any], _: Sequence[str]) -> Parsed:
    post = joined("_", dig(content, "chat.id"), content.get("message_id"))
    return _turn(content.get("old_reaction"), content.get("new_reaction")), {"post": post}


def _boost(content: dict[str, Any], _: Sequence[str]) -> Parsed:
    boost = obj(content.get("boost", content), "boost")
    # The other sources are gifts: an action of the chat, not of the person.
    word = "told" if dig(boost, "source.source") == "premium" else "gift"
    return word, {**boost, "date": boost.get("add_date") or boost.get("remove_date")}


def _message(content: dict[str, Any], names: Sequence[str]) -> Parsed:
    written, sort = content.get("text") or content.get("caption"), dig(content, "chat.type")
    # Anonymous administrators and channels write in the name of a chat, not of a person.
    if (
        not isinstance(written, str)
        or dig(content, "from.is_bot") is True
        or "sender_chat" in content
    ):
        return "other", {}
    start = START_COMMAND.fullmatch(written)
    if sort not in ("group", "supergroup"):
        return ("start", {"payload": start[1]}) if start and sort == "private" else ("other", {})
    words = re.findall(r"@\w+", written.lower())
    name = next((name for name in names if name.lower() in words), None)
    return ("mention", {"name": name}) if name else ("comment", {})


# https://core.telegram.org/bots/api#update
FIELDS: dict[str, Callable[[dict[str, Any], Sequence[str]], Parsed]] = {
    "chat_member": _member,
    "my_chat_member": _with_the_bot,
    "chat_join_request": lambda *_: ("told", {}),
    "message_reaction": _reaction,
    "poll_answer": _vote,
    "chat_boost": _boost,
    "removed_chat_boost": _boost,
    "message": _message,
}
