"""Places in a callback that hold a proof or a signed value."""

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
# A signed time must be whole: leading zeros, or its last digits, could be moved to or from the text
# beside it, such as the event's id, and one proof would fit two ids.
_DIGITS = re.compile(r"[1-9]\d*")
_WITH_OFFSET = re.compile(r".*(Z|[+-]\d\d:?\d\d)")


class Message(Protocol):
    """A received callback, or an example to be sent. Header names are in lower case."""

    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def query(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...
    def parsed(self, parse: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]: ...


class Place(Protocol):
    """A place for one text; ``found`` may return more where a platform repeats it."""

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
    """One item of a header such as ``t=1,s=abc``; an item may be repeated."""

    name: str
    item: str

    def __str__(self) -> str:
        return f"{self.item}= in the header {self.name}"

    def found(self, of: Message) -> tuple[str, ...]:
        return tuple(value for name, value in self._pairs(of) if name == self.item)

    def names(self, of: Message) -> tuple[str, ...]:
        """Return the names of the items that are present."""
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
    """A text or number in the body: its path, and the parser of the body.

    A scheme that reads one parses the body before it is verified, so its adapter declares
    `unproven_bytes`.
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
        """Write to the top level of a JSON object, which is all that is supported."""
        return replace(on, body=compact_json({**json_object(on.body), self.name: value}))


@dataclass(frozen=True, slots=True)
class Body:
    """The raw body as a signed part."""


@dataclass(frozen=True, slots=True)
class Key:
    """The secret itself as a part of a plain hash."""


Part = Place | Body | Key | bytes


def read(place: Place, of: Message) -> str:
    """Return the value of a place. Raises `Forged` when there is none, or more than one."""
    found = place.found(of)
    if len(found) > 1:
        raise Forged(f"{place} is present more than once")
    if not found or not found[0]:
        raise Forged(f"{place} is missing or empty")
    return found[0]


@dataclass(frozen=True, slots=True)
class SignedTime:
    """The place and format of the signed time."""

    place: Place
    written_as: TimeForm

    def parse(self, of: Message) -> datetime:
        """Parse the signed time. Raises `Forged`."""
        readers = {"iso": iso_time, "unix": unix_time, "unix_ms": unix_ms_time}
        value = read(self.place, of)
        try:
            moment = readers[self.written_as](value, str(self.place))
        except Malformed as malformed:
            raise Forged(malformed.reason) from None
        whole = _WITH_OFFSET if self.written_as == "iso" else _DIGITS
        if not whole.fullmatch(value):
            raise Forged(f"{self.place} begins with a zero, or lacks its offset from UTC")
        return moment

    def write(self, on: Example, moment: datetime) -> Example:
        return self.place.write(on, written(moment, self.written_as))


def written(moment: datetime, form: TimeForm) -> str:
    if form == "iso":
        return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return str(int(moment.timestamp() * (1 if form == "unix" else 1000)))
