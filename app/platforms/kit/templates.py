"""What does a partner sign, where we know it only from a line of configuration?"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from app.platforms.kit.places import Header, Item, Part, Place, Query

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def place_of(told: str, header: str) -> Place | None:
    """``header:X-Id``, ``query:id``, or ``item:t`` of the signature's ``header``; else None."""
    sort, _, name = told.partition(":")
    places: dict[str, Callable[[str], Place]] = {
        "header": Header,
        "query": Query,
        "item": partial(Item, header),
    }
    return places[sort](name) if name.strip() and sort in places else None


def parts_of(template: str, header: str, named: Mapping[str, Part]) -> tuple[Part, ...]:
    """The parts of ``v0:{timestamp}:{body}``: ``named`` ones, places, and what stands between.

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
            raise ValueError(f"{{{piece}}} is none of {known}, {{header:NAME}}, {{query:NAME}}")
        parts.append(part)
    return tuple(parts)


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """The object in which each value stands at its path, as `dig` follows it."""
    root: dict[str, Any] = {}
    for path, value in values.items():
        *steps, last = path.split(".")
        holder = root
        for step in steps:
            holder = holder.setdefault(step, {})
        holder[last] = value
    return root
