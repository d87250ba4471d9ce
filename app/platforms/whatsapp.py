"""WhatsApp Business: people who write to you, and who join and leave your groups."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field

from app.domain.events import Event, SameAccount
from app.platforms.kit.callback import Callback, Reading
from app.platforms.kit.event_mappings import EventMapping, unix
from app.platforms.kit.fields import compact_json, dig, json_object, listed, obj, read_each, text
from app.platforms.kit.meta_family import HubAdapter, HubSource, updates
from app.platforms.kit.options import SourceConfig

OBJECT = "whatsapp_business_account"
# One account has three ids: `from` and `wa_id` write some countries' numbers differently.
ALIASES = ("from", "wa_id", "user_id")
JOIN = EventMapping(
    action="join",
    actor="account",
    target="group_id",
    identity=("group_id", "account", "timestamp"),
    time=unix("timestamp"),
    handle="username",
    aliases=ALIASES,
)
WRITTEN = EventMapping(
    action="message",
    actor="account",
    target="to",
    identity=("id",),
    time=unix("timestamp"),
    handle="name",
    aliases=ALIASES,
)
# Types that people write. System answers, edits and unreadable messages are not new messages.
MESSAGES = frozenset(
    {"text", "image", "video", "audio", "document", "sticker", "location", "contacts", "order",
     "button"}
)  # fmt: skip
# The phone writes the others, when a permission to call is granted or refused, for example.
# https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/system
INTERACTIONS = frozenset({"button_reply", "list_reply", "nfm_reply"})
# https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/system
# The fields of the old and the new id, in the versions that we have seen.
CHANGES = {
    "user_changed_number": (("from",), ("wa_id", "new_wa_id")),
    "customer_changed_number": (("from",), ("wa_id", "new_wa_id")),
    "user_changed_user_id": (("previous_user_id", "from_user_id"), ("user_id",)),
}


class WhatsAppSource(HubSource):
    phone_numbers: tuple[str, ...] = Field(
        default=(),
        description="Only events of the numbers with these phone number ids count; by default "
        "of any number of the account.",
    )


class WhatsApp(HubAdapter):
    """An account is its phone number (``wa_id``), or its ``user_id`` when the number is hidden.

    When a callback shows both, they are one account.
    """

    name = "whatsapp"
    docs = "https://developers.facebook.com/docs/whatsapp/webhooks/reference"
    config: ClassVar[type[SourceConfig]] = WhatsAppSource
    kinds: ClassVar[dict[str, EventMapping]] = {
        "messages": WRITTEN,
        # https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/revoke
        "messages.revoke": replace(
            WRITTEN, identity=("revoke.original_message_id",), undone=True, undoes="messages"
        ),
        # https://developers.facebook.com/docs/whatsapp/cloud-api/groups/webhooks
        "group_participants_add": JOIN,
        "group_participants_remove": replace(JOIN, undone=True),
    }

    def read(self, callback: Callback) -> Reading:
        body = json_object(callback.body)
        sort = text(body.get("object"), "object")
        if sort != OBJECT:
            return Reading(ignored=(f"{sort} earns nothing",))
        items = [
            (self._is_ours(value), *parsed)
            for entry, field, value in updates(body)
            for parsed in _parse(entry, field, value)
        ]
        reading = read_each(items, lambda item: self._event(callback, *item))
        moves = (_move(root) for _, _, root, _ in items)
        return replace(reading, same_accounts=tuple(move for move in moves if move is not None))

    def _is_ours(self, value: object) -> bool:
        numbers = self.source.phone_numbers
        return not numbers or str(dig(value, "metadata.phone_number_id")) in numbers

    def _event(
        self, callback: Callback, is_ours: bool, name: Any, root: Any, entry: Any
    ) -> Event | str:
        word = text(name, "what happened")
        payload = compact_json({"object": OBJECT, "entry": [entry]})
        result = self.read_word(word, callback, obj(root, word), payload=payload)
        why = f"{word} of a phone number that is not configured"
        return result if is_ours else self.excluded(result, why)


def _parse(entry: Any, field: object, value: Any) -> Iterator[tuple[object, object, object]]:
    """Yield the word, the root and the stored payload of each action in one update."""
    if field == "messages":
        contacts, written = listed(dig(value, "contacts")), listed(dig(value, "messages"))
        for message in written:
            person = _sender(message, contacts, is_alone=len(written) == 1)
            more = {
                "to": dig(value, "metadata.phone_number_id"),
                "account": dig(message, "from") or dig(message, "from_user_id"),
                "name": dig(person, "profile.name"),
                "wa_id": dig(person, "wa_id"),
                "user_id": dig(person, "user_id") or dig(message, "from_user_id"),
            }
            word, root = _word(message), _joined(message, more)
            alone = {**value, "contacts": [person] if person else [], "messages": [message]}
            yield word, root, _with(entry, field, alone)
    elif field == "group_participants_update":
        for group in listed(dig(value, "groups")):
            people = ("added_participants", "removed_participants")
            for person in (person for key in people for person in listed(dig(group, key))):
                account = dig(person, "wa_id") or dig(person, "user_id")
                root = _joined(person, {**group, "account": account})
                alone = {**group, **{key: [person] for key in people if key in group}}
                yield dig(group, "type"), root, _with(entry, field, {"groups": [alone]})
    elif field == "user_id_update":
        for update in listed(dig(value, "user_id_update")):
            ids = {
                "from_user_id": dig(update, "user_id.previous"),
                "user_id": dig(update, "user_id.current"),
            }
            yield field, {"system": {"type": "user_changed_user_id", **ids}}, entry
    else:
        yield field, {}, entry


def _sender(message: object, people: list[Any], *, is_alone: bool) -> object:
    """Return the message's sender; a phone number may be written in two ways."""
    ids = [sender for name in ("from", "from_user_id") if (sender := dig(message, name))]
    found = (who for who in people if dig(who, "wa_id") in ids or dig(who, "user_id") in ids)
    only = people[0] if is_alone and len(people) == 1 else None
    return next(found, only)


def _word(message: object) -> str:
    sort = str(dig(message, "type"))
    if sort == "revoke":
        return "messages.revoke"
    interaction = str(dig(message, "interactive.type"))
    is_interaction = sort == "interactive" and interaction in INTERACTIONS
    is_written = (sort in MESSAGES or is_interaction) and dig(message, "errors") is None
    return "messages" if is_written else f"a {sort} message"


def _move(root: object) -> SameAccount | None:
    """Read a system message that somebody's id has changed."""
    before, after = CHANGES.get(str(dig(root, "system.type")), ((), ()))
    if not before or not isinstance(root, dict):
        return None
    system = root["system"]
    old, new = _first({**root, **system}, before), _first(system, after)
    if not isinstance(old, str) or not isinstance(new, str) or old == new:
        return None
    return SameAccount(text(old, "the former id"), text(new, "the new id"), replaced=True)


def _first(known: dict[str, Any], names: tuple[str, ...]) -> object:
    return next((known[name] for name in names if known.get(name)), None)


def _with(entry: Any, field: object, value: object) -> dict[str, Any]:
    """Return the entry with one person's action only: events must not store those of others."""
    head = {name: dig(entry, name) for name in ("id", "time")}
    return {**head, "changes": [{"field": field, "value": value}]}


def _joined(item: object, more: dict[str, Any]) -> object:
    return {**item, **more} if isinstance(item, dict) else item
