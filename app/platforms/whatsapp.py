"""WhatsApp Business: who writes to you, and who joins and leaves your groups."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field

from app.domain.events import Event
from app.platforms.kit.callback import Callback, Reading
from app.platforms.kit.fields import compact_json, dig, json_object, listed, obj, read_each, text
from app.platforms.kit.hub_family import HubAdapter, HubSource, updates
from app.platforms.kit.kinds import Kind, unix
from app.platforms.kit.options import SourceConfig

OBJECT = "whatsapp_business_account"
JOIN = Kind(
    "join", "account", "group_id", ("group_id", "account", "timestamp"), unix("timestamp"),
    "username",
)  # fmt: skip
WRITTEN = Kind("message", "account", "to", ("id",), unix("timestamp"), "name")
# What is no new word of the person: answers of the system, edits, and what could not be read.
NO_MESSAGES = ("reaction", "system", "unsupported", "request_welcome", "edit")


class WhatsAppSource(HubSource):
    phone_numbers: tuple[str, ...] = Field(
        default=(),
        description="Only what happens to these numbers counts, by their phone number ids; none "
        "named: to any of the account.",
    )


class WhatsApp(HubAdapter):
    """An account is its phone number (``wa_id``), or, of somebody who hides it, the ``user_id``."""

    name = "whatsapp"
    docs = "https://developers.facebook.com/docs/whatsapp/webhooks/reference"
    config: ClassVar[type[SourceConfig]] = WhatsAppSource
    kinds: ClassVar[dict[str, Kind]] = {
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
        told = (one for update in updates(body) for one in self._of_ours(*update))
        return read_each(told, lambda one: self._event(callback, *one))

    def _of_ours(
        self, entry: Any, field: object, value: Any
    ) -> Iterable[tuple[object, object, object]]:
        """What an update tells, unless it is about a number that is not configured."""
        number, numbers = dig(value, "metadata.phone_number_id"), self.source.phone_numbers
        if numbers and str(number) not in numbers:
            return [(f"{field} of a phone number that is not configured", {}, entry)]
        return _told(entry, field, value)

    def _event(self, callback: Callback, told: Any, root: Any, entry: Any) -> Event | str:
        word = text(told, "what happened")
        payload = compact_json({"object": OBJECT, "entry": [entry]})
        return self.read_word(word, callback, obj(root, word), payload=payload)


def _told(entry: Any, field: object, value: Any) -> Iterator[tuple[object, object, object]]:
    """Everything that one update tells, one by one: its word, its root, and what is kept of it."""
    if field == "messages":
        known = {str(dig(p, "wa_id")): p for p in listed(dig(value, "contacts"))}
        for one in listed(dig(value, "messages")):
            sender, sort = dig(one, "from") or dig(one, "from_user_id"), dig(one, "type")
            person = known.get(str(sender))
            told = {"to": dig(value, "metadata.phone_number_id"), "account": sender}
            word = f"a {sort} message" if sort in NO_MESSAGES else "messages"
            word = "messages.revoke" if sort == "revoke" else word
            root = _joined(one, {**told, "name": dig(person, "profile.name")})
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
    else:
        yield field, {}, entry


def _with(entry: Any, field: object, value: object) -> dict[str, Any]:
    """The entry as if it told of one person only: what others did is not this event's to keep."""
    head = {name: dig(entry, name) for name in ("id", "time")}
    return {**head, "changes": [{"field": field, "value": value}]}


def _joined(one: object, more: dict[str, Any]) -> object:
    return {**one, **more} if isinstance(one, dict) else one
