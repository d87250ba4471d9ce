"""WhatsApp Business: who writes to you, and who joins and leaves your groups."""

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
# One account by three ids: `from` and `wa_id` write some countries' numbers differently.
ALIASES = ("from", "wa_id", "user_id")
JOIN = EventMapping(
    "join", "account", "group_id", ("group_id", "account", "timestamp"), unix("timestamp"),
    "username", aliases=ALIASES,
)  # fmt: skip
WRITTEN = EventMapping(
    "message", "account", "to", ("id",), unix("timestamp"), "name", aliases=ALIASES
)
# What people write. Answers of the system, edits and what could not be read are nothing new.
MESSAGES = frozenset(
    {"text", "image", "video", "audio", "document", "sticker", "location", "contacts", "order",
     "button"}
)  # fmt: skip
# The others are written by the phone: a permission to call is granted or refused, say.
INTERACTIONS = frozenset({"button_reply", "list_reply", "nfm_reply"})
# https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/system
# The names of the id before and after, in the versions that were seen.
CHANGES = {
    "user_changed_number": (("from",), ("wa_id", "new_wa_id")),
    "customer_changed_number": (("from",), ("wa_id", "new_wa_id")),
    "user_changed_user_id": (("previous_user_id", "from_user_id"), ("user_id",)),
}


class WhatsAppSource(HubSource):
    phone_numbers: tuple[str, ...] = Field(
        default=(),
        description="Only what happens to these numbers counts, by their phone number ids; none "
        "named: to any of the account.",
    )


class WhatsApp(HubAdapter):
    """An account is its phone number (``wa_id``), or, of somebody who hides it, the ``user_id``.
    Where a callback shows both, they are one account.
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
            (self._is_ours(value), *one)
            for entry, field, value in updates(body)
            for one in _told(entry, field, value)
        ]
        reading = read_each(items, lambda one: self._event(callback, *one))
        moves = (_move(root) for _, _, root, _ in items)
        return replace(reading, same_accounts=tuple(one for one in moves if one is not None))

    def _is_ours(self, value: object) -> bool:
        numbers = self.source.phone_numbers
        return not numbers or str(dig(value, "metadata.phone_number_id")) in numbers

    def _event(
        self, callback: Callback, is_ours: bool, told: Any, root: Any, entry: Any
    ) -> Event | str:
        word = text(told, "what happened")
        payload = compact_json({"object": OBJECT, "entry": [entry]})
        result = self.read_word(word, callback, obj(root, word), payload=payload)
        why = f"{word} of a phone number that is not configured"
        return result if is_ours else self.excluded(result, why)


def _told(entry: Any, field: object, value: Any) -> Iterator[tuple[object, object, object]]:
    """Everything that one update tells, one by one: its word, its root, and what is kept of it."""
    if field == "messages":
        contacts, written = listed(dig(value, "contacts")), listed(dig(value, "messages"))
        for one in written:
            person = _sender(one, contacts, is_alone=len(written) == 1)
            told = {
                "to": dig(value, "metadata.phone_number_id"),
                "account": dig(one, "from") or dig(one, "from_user_id"),
                "name": dig(person, "profile.name"),
                "wa_id": dig(person, "wa_id"),
                "user_id": dig(person, "user_id") or dig(one, "from_user_id"),
            }
            word, root = _word(one), _joined(one, told)
            alone = {**value, "contacts": [person] if person else [], "messages": [one]}
            yield word, root, _with(entry, field, alone)
    elif field == "group_participants_update":
        for group in listed(dig(value, "groups")):
            people = ("added_participants", "removed_participants")
            for one in (one for key in people for one in listed(dig(group, key))):
                account = dig(one, "wa_id") or dig(one, "user_id")
                root = _joined(one, {**group, "account": account})
                alone = {**group, **{key: [one] for key in people if key in group}}
                yield dig(group, "type"), root, _with(entry, field, {"groups": [alone]})
    elif field == "user_id_update":
        for one in listed(dig(value, "user_id_update")):
            ids = {
                "from_user_id": dig(one, "user_id.previous"),
                "user_id": dig(one, "user_id.current"),
            }
            yield field, {"system": {"type": "user_changed_user_id", **ids}}, entry
    else:
        yield field, {}, entry


def _sender(message: object, people: list[Any], *, is_alone: bool) -> object:
    """Whose message it is, of the people of a callback; a number may be written in two ways."""
    ids = [one for one in (dig(message, "from"), dig(message, "from_user_id")) if one]
    found = (one for one in people if dig(one, "wa_id") in ids or dig(one, "user_id") in ids)
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
    """The system's word that somebody has another id from now on."""
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
    """The entry as if it told of one person only: what others did is not this event's to keep."""
    head = {name: dig(entry, name) for name in ("id", "time")}
    return {**head, "changes": [{"field": field, "value": value}]}


def _joined(one: object, more: dict[str, Any]) -> object:
    return {**one, **more} if isinstance(one, dict) else one
