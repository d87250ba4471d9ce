"""Where in a callback does a platform put its proof, and what does the proof cover?"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from app.platforms.kit.callback import Example, Forged, Malformed
from app.platforms.kit.encodings import as_bytes, wire
from app.platforms.kit.fields import (
    compact_json,
    dig,
    iso_time,
    json_object,
    unix_ms_time,
    unix_time,
)

_MOST_ITEMS = 16
TimeForm = Literal["iso", "unix", "unix_ms"]
# How a signed time is whole: a zero before it, or its last digits, could be lent by or to the text
# beside it, such as the event's id, and one proof would fit two ids.
_DIGITS = re.compile(r"[1-9]\d*")
_WITH_OFFSET = re.compile(r".*(Z|[+-]\d\d:?\d\d)")


class Message(Protocol):
    """A callback that came, or an example that is to be sent. Header names are lower case."""

    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def query(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...
    def parsed(self, parse: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]: ...


class Place(Protocol):
    """Somewhere that holds one text; ``found`` may hold more where a platform repeats it."""

    @property
    def name(self) -> str: ...
    def found(self, of: Message) -> tuple[str, ...]: ...
    def raw(self, value: str) -> bytes: ...
    def write(self, on: Example, value: str) -> Example: ...


@dataclass(frozen=True, slots=True)
class Header:
    name: str

    def __str__(self) -> str:
        return f"the header {self.name}"

    def found(self, of: Message) -> tuple[str, ...]:
        value = of.headers.get(self.name.lower())
        return () if value is None else (value,)

    def raw(self, value: str) -> bytes:
        return wire(value)

    def write(self, on: Example, value: str) -> Example:
        return replace(on, headers={**on.headers, self.name.lower(): value})


@dataclass(frozen=True, slots=True)
class Item:
    """One of the items of a header that is written ``t=1,s=abc``; an item may be repeated."""

    name: str
    item: str

    def __str__(self) -> str:
        return f"{self.item}= in the header {self.name}"

    def found(self, of: Message) -> tuple[str, ...]:
        return tuple(value for name, value in self._pairs(of) if name == self.item)

    def names(self, of: Message) -> tuple[str, ...]:
        """The items that are there."""
        return tuple(dict.fromkeys(name for name, _ in self._pairs(of) if name))

    def _pairs(self, of: Message) -> list[tuple[str, str]]:
        items = of.headers.get(self.name.lower(), "").split(",", _MOST_ITEMS)[:_MOST_ITEMS]
        pairs = (item.strip().partition("=") for item in items)
        return [(name, value) for name, _, value in pairs]

    def raw(self, value: str) -> bytes:
        return wire(value)

    def write(self, on: Example, value: str) -> Example:
        before = on.headers.get(self.name.lower())
        item = f"{self.item}={value}"
        items = item if before is None else f"{before},{item}"
        return replace(on, headers={**on.headers, self.name.lower(): items})


@dataclass(frozen=True, slots=True)
class Query:
    """A parameter of the address."""

    name: str

    def __str__(self) -> str:
        return f"the query parameter {self.name}"

    def found(self, of: Message) -> tuple[str, ...]:
        value = of.query.get(self.name)
        return () if value is None else (value,)

    def raw(self, value: str) -> bytes:
        return as_bytes(value)

    def write(self, on: Example, value: str) -> Example:
        return replace(on, query={**on.query, self.name: value})


@dataclass(frozen=True, slots=True)
class Field:
    """A text or number in the body: the path to it, and what parses the body.

    A scheme that reads one parses before anything is proven: its adapter says `unproven_bytes`.
    """

    name: str
    parse: Callable[[bytes], dict[str, Any]] = json_object

    def __str__(self) -> str:
        return f"the body's {self.name}"

    def found(self, of: Message) -> tuple[str, ...]:
        try:
            value = dig(of.parsed(self.parse), self.name)
        except Malformed:
            return ()
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return (str(value),) if isinstance(value, str) or is_number else ()

    def raw(self, value: str) -> bytes:
        return as_bytes(value)

    def write(self, on: Example, value: str) -> Example:
        """Only what stands at the top of a JSON object can be written."""
        return replace(on, body=compact_json({**json_object(on.body), self.name: value}))


@dataclass(frozen=True, slots=True)
class Body:
    """Stands for the raw body among the signed parts."""


@dataclass(frozen=True, slots=True)
class Key:
    """Stands for the secret itself among the parts of a plain hash."""


Part = Place | Body | Key | bytes


def read(place: Place, of: Message) -> str:
    """What stands in a place; `Forged` where nothing does, or more than one thing."""
    found = place.found(of)
    if len(found) > 1:
        raise Forged(f"{place} is there more than once")
    if not found or not found[0]:
        raise Forged(f"{place} is missing or empty")
    return found[0]


@dataclass(frozen=True, slots=True)
class SignedTime:
    """Where the signed time stands, and how it is written."""

    place: Place
    written_as: TimeForm

    def parse(self, of: Message) -> datetime:
        """Raises `Forged`."""
        readers = {"iso": iso_time, "unix": unix_time, "unix_ms": unix_ms_time}
        said = read(self.place, of)
        try:
            moment = readers[self.written_as](said, str(self.place))
        except Malformed as malformed:
            raise Forged(malformed.reason) from None
        whole = _WITH_OFFSET if self.written_as == "iso" else _DIGITS
        if not whole.fullmatch(said):
            raise Forged(f"{self.place} begins with a zero, or lacks its offset from UTC")
        return moment

    def write(self, on: Example, moment: datetime) -> Example:
        return self.place.write(on, written(moment, self.written_as))


def written(moment: datetime, form: TimeForm) -> str:
    if form == "iso":
        return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return str(int(moment.timestamp() * (1 if form == "unix" else 1000)))
