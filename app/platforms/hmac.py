"""Any partner that signs with an HMAC, known from the configuration alone."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Example, Reading
from app.platforms.kit.encodings import fingerprint
from app.platforms.kit.event_mappings import At, EventMapping, iso, unix, unix_ms
from app.platforms.kit.fields import compact_json, dig, iso_time, json_object, text
from app.platforms.kit.options import SourceConfig
from app.platforms.kit.partner import PartnerSource
from app.platforms.kit.places import TimeForm, written
from app.platforms.kit.signing import CannotSign
from app.platforms.kit.templates import nested

TIMES: Mapping[TimeForm, Any] = {"iso": iso, "unix": unix, "unix_ms": unix_ms}


class Hmac(Adapter):
    name = "hmac"
    docs = "https://www.rfc-editor.org/rfc/rfc2104"
    config: ClassVar[type[SourceConfig]] = PartnerSource
    ids_are_per_source = True
    forged_status = 401

    def __init__(self, source: Any) -> None:
        super().__init__(source)
        self.schemes = (source.scheme,)

    def read(self, callback: Callback) -> Reading:
        body = json_object(callback.body)
        word = text(dig(body, self.source.action), self.source.action)
        is_undone = word in self.source.undone
        action = (self.source.undone if is_undone else self.source.actions).get(word)
        if action is None:
            return Reading(ignored=(f"{word} earns nothing",))
        kind = replace(self._kind(body), action=action, undone=is_undone)
        root = {**body, "the id": self._id(callback, body)}  # which no path can name
        return Reading.of(self.read_as(kind, callback, word=word, root=root))

    def _kind(self, body: Mapping[str, Any]) -> EventMapping:
        it = self.source
        # Not each of a partner's actions need have a target.
        target = it.target if it.target and dig(body, it.target) is not None else None
        time: At | None = TIMES[it.time_format](it.time) if it.time else None
        return EventMapping("", it.actor, target, ("the id",), time, it.handle or None)

    def _id(self, callback: Callback, body: Mapping[str, Any]) -> object:
        if self.source.event_id_place is not None:
            found = self.source.event_id_place.found(callback)
            return found[0] if found else None
        path = self.source.event_id
        return dig(body, path) if path else fingerprint(callback.body.hex())

    def prepared(self, example: Example, now: datetime) -> Example:
        """An example, which is in our words, in the partner's."""
        it, told = self.source, json_object(example.body)
        words = it.undone if told.get("undone") else it.actions
        word = next((theirs for theirs, ours in words.items() if ours == told["action"]), None)
        if word is None:
            raise CannotSign(f"the partner has no word for {told['action']} in {it.name}")
        time = written(iso_time(told["time"], "time"), it.time_format)
        values = {it.action: word, it.actor: told["actor"], it.handle: told.get("handle")}
        values |= {it.target: told["target"], it.time: int(time) if time.isdigit() else time}
        values |= {} if it.event_id_place else {it.event_id: told["id"]}
        body = compact_json(nested({path: value for path, value in values.items() if path}))
        example = replace(super().prepared(example, now), body=body)
        return it.event_id_place.write(example, told["id"]) if it.event_id_place else example
