"""Read a JSON object field by field, and report every mistake in it."""

from collections.abc import Callable, Mapping
from typing import Any

Reader = Callable[[object], object]


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def read_fields(document: object, readers: Mapping[str, Reader]) -> dict[str, Any]:
    """Return the document's values under our names. A ValueError names every mistake in it."""
    if not isinstance(document, dict):
        raise ValueError("expected a JSON object")
    names = {camel(name): name for name in readers}
    values: dict[str, Any] = {}
    mistakes: list[str] = []
    for key, value in document.items():
        if key not in names:
            mistakes.append(f"{key}: unknown, expected one of {', '.join(names)}")
            continue
        try:
            values[names[key]] = readers[names[key]](value)
        except ValueError as mistake:
            mistakes.append(f"{key}: {mistake}")
    if mistakes:
        raise ValueError("; ".join(mistakes))
    return values


def seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e9:
        raise ValueError("expected seconds, 0 or more")
    return float(value)


def share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError("expected a number from 0 to 1")
    return float(value)


def number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("expected a whole number")
    return value


def status(value: object) -> int:
    if not 200 <= number(value) <= 599:
        raise ValueError("expected an HTTP status from 200 to 599")
    return number(value)


def text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("expected text")
    return value


def truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("expected true or false")
    return value


def anything(value: object) -> object:
    return value


def items(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError("expected a list")
    return value


def headers(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError("expected a JSON object")
    for part in (*value, *value.values()):
        if not (text(part).isascii() and text(part).isprintable()):
            raise ValueError("expected printable ASCII")
    return value


def or_none(read: Reader) -> Reader:
    return lambda value: None if value is None else read(value)
