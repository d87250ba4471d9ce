"""Telegram: what people do in chats where your bot is an administrator, and to the bot itself."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import Field

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reading, Reply
from app.platforms.kit.fields import dig, joined, json_object, listed, obj
from app.platforms.kit.kinds import Kind, unix
from app.platforms.kit.options import SecretRef, SourceConfig, matching
from app.platforms.kit.places import Header
from app.platforms.kit.schemes import TokenScheme

# https://core.telegram.org/bots/api#chatmember
IS_IN = ("creator", "administrator", "member")
GROUPS = ("group", "supergroup")
# https://core.telegram.org/bots/features#deep-linking
START_COMMAND = re.compile(r"/start ([A-Za-z0-9_-]{1,64})")

AS_TAKEN = matching(
    r"[A-Za-z0-9_-]{1,256}", "a secret token has 1 to 256 of the characters A-Z, a-z, 0-9, _ and -"
)

BY_SENDER = partial(
    Kind, actor="from.id", identity=("update_id",), time=unix("date"), handle="from.username"
)
JOIN = Kind(
    "join",
    "new_chat_member.user.id",
    "chat.id",
    ("update_id",),
    unix("date"),
    "new_chat_member.user.username",
)
LIKE = Kind("like", "user.id", "post", ("update_id",), unix("date"), "user.username")
START = BY_SENDER("subscribe", target="new_chat_member.user.id")


class TelegramSource(SourceConfig):
    secrets: tuple[Annotated[SecretRef, AS_TAKEN], ...] = Field(
        min_length=1, description="The secret_token that setWebhook was given."
    )


class Telegram(Adapter):
    """Nothing is signed: whoever learns the token can forge. Make it long, and send it nowhere."""

    name = "telegram"
    docs = "https://core.telegram.org/bots/api#setwebhook"
    config: ClassVar[type[SourceConfig]] = TelegramSource
    schemes = (TokenScheme(Header("X-Telegram-Bot-Api-Secret-Token")),)
    accepted = Reply(200)
    # Anything else is repeated, and holds up what comes after it.
    malformed_status = 200
    kinds: ClassVar[dict[str, Kind]] = {
        "chat_member.joined": JOIN,
        "chat_member.left": replace(JOIN, undone=True),
        "my_chat_member.joined": START,
        "my_chat_member.left": replace(START, undone=True),
        "chat_join_request.sent": BY_SENDER("join-request", target="chat.id"),
        "message_reaction.added": LIKE,
        "message_reaction.removed": replace(LIKE, undone=True),
        "message.start": BY_SENDER("start", target="payload"),
        "message.comment": BY_SENDER("comment", target="chat.id"),
    }

    def read(self, callback: Callback) -> Reading:
        update = json_object(callback.body)
        field = next((field for field in FIELDS if field in update), None)
        if field is None:
            return Reading(ignored=("an update of another kind",))
        told = obj(update[field], field)
        word, more = FIELDS[field](told)
        root = {**told, **more, "update_id": update.get("update_id")}
        return Reading.of(self.read_word(f"{field}.{word}", callback, root))


def _membership(told: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A promotion is told in the same way as a join: only who was out before has come in."""
    was_in, is_in = (_is_in(dig(told, f"{when}_chat_member")) for when in ("old", "new"))
    return ("changed" if was_in == is_in else "joined" if is_in else "left"), {}


def _is_in(member: object) -> bool:
    status = dig(member, "status")
    return status in IS_IN or (status == "restricted" and dig(member, "is_member") is True)


def _with_the_bot(told: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return _membership(told) if dig(told, "chat.type") == "private" else ("elsewhere", {})


def _join_request(told: dict[str, Any]) -> tuple[str, dict[str, Any]]:  # noqa: ARG001
    return "sent", {}


def _reaction(told: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    had, has = (bool(listed(told.get(f"{when}_reaction"))) for when in ("old", "new"))
    post = joined("_", dig(told, "chat.id"), told.get("message_id"))
    return ("changed" if had == has else "added" if has else "removed"), {"post": post}


def _message(told: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    said, sort = told.get("text") or told.get("caption"), dig(told, "chat.type")
    start = START_COMMAND.fullmatch(said) if isinstance(said, str) else None
    if sort == "private" and start:
        return "start", {"payload": start[1]}
    # Anonymous administrators and channels write in the name of a chat, not of a person.
    is_ours = dig(told, "from.is_bot") is not True and "sender_chat" not in told
    is_comment = isinstance(said, str) and sort in GROUPS and is_ours
    return ("comment" if is_comment else "other"), {}


# https://core.telegram.org/bots/api#update
FIELDS: dict[str, Callable[[dict[str, Any]], tuple[str, dict[str, Any]]]] = {
    "chat_member": _membership,
    "my_chat_member": _with_the_bot,
    "chat_join_request": _join_request,
    "message_reaction": _reaction,
    "message": _message,
}
