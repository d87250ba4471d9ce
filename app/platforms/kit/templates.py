"""Read the signed parts that a partner's configuration describes."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from app.platforms.kit.places import Header, Item, Part, Place, Query

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def place_of(text: str, header: str) -> Place | None:
    """Parse ``header:X-Id``, ``query:id``, or ``item:t`` of ``header``; None for other text."""
    sort, _, name = text.partition(":")
    places: dict[str, Callable[[str], Place]] = {
        "header": Header,
        "query": Query,
        "item": partial(Item, header),
    }
    return places[sort](name) if name.strip() and sort in places else None


def parts_of(template: str, header: str, named: Mapping[str, Part]) -> tuple[Part, ...]:
    """Parse a template such as ``v0:{timestamp}:{body}`` into named parts, places and literals.

    Raises `ValueError`.
    """
    parts: list[Part] = []
    for position, piece in enumerate(_PLACEHOLDER.split(template)):
        if position % 2 == 0:
            parts += [piece.encode()] if piece else []
            continue
        part = named.get(piece) or place_of(piece, header)
        if part is None:
            known = ", ".join(f"{{{name}}}" for name in named)
            raise ValueError(f"{{{piece}}} is not one of {known}, {{header:NAME}}, {{query:NAME}}")
        parts.append(part)
    return tuple(parts)


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object that has each value at its path (see `dig`)."""
    root: dict[str, Any] = {}
    for path, value in values.items():
        *steps, last = path.split(".")
        holder = root
        for step in steps:
            holder = holder.setdefault(step, {})
        holder[last] = value
    return root
