"""Any partner that signs with an HMAC, described by the configuration alone."""

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
        root = {**body, "the id": self._id(callback, body)}  # no configured path can name it
        return Reading.of(self.read_as(kind, callback, word=word, root=root))

    def _kind(self, body: Mapping[str, Any]) -> EventMapping:
        it = self.source
        # A partner's action may have no target.
        target = it.target if it.target and dig(body, it.target) is not None else None
        time: At | None = TIMES[it.time_format](it.time) if it.time else None
        return EventMapping(
            action="",
            actor=it.actor,
            target=target,
            identity=("the id",),
            time=time,
            handle=it.handle or None,
        )

    def _id(self, callback: Callback, body: Mapping[str, Any]) -> object:
        if self.source.event_id_place is not None:
            found = self.source.event_id_place.found(callback)
            return found[0] if found else None
        path = self.source.event_id
        return dig(body, path) if path else fingerprint(callback.body.hex())

    def prepared(self, example: Example, now: datetime) -> Example:
        """Translate an example from our words to the partner's."""
        it, example_body = self.source, json_object(example.body)
        words = it.undone if example_body.get("undone") else it.actions
        action = example_body["action"]
        word = next((theirs for theirs, ours in words.items() if ours == action), None)
        if word is None:
            raise CannotSign(f"{it.name} configures no word for {action}")
        time = written(iso_time(example_body["time"], "time"), it.time_format)
        values = {
            it.action: word,
            it.actor: example_body["actor"],
            it.handle: example_body.get("handle"),
        }
        values |= {
            it.target: example_body["target"],
            it.time: int(time) if time.isdigit() else time,
        }
        values |= {} if it.event_id_place else {it.event_id: example_body["id"]}
        body = compact_json(nested({path: value for path, value in values.items() if path}))
        example = replace(super().prepared(example, now), body=body)
        return (
            it.event_id_place.write(example, example_body["id"]) if it.event_id_place else example
        )
