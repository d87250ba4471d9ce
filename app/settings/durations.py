"""Parse durations such as "30d"."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_HOW = 'write a duration as a number and a unit: "90s", "15m", "24h", "30d"'
# Ten years. Longer ones, and TOML's inf, would exceed the largest date.
_LONGEST = 315_360_000


def parse_duration(value: object) -> object:
    """Return the seconds of ``"90s"``, ``"15m"``, ``"24h"``, ``"30d"``, ``"2w"`` or a number."""
    if isinstance(value, bool):
        raise ValueError(_HOW)
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([smhdw])", value)
    if not match:
        raise ValueError(_HOW)
    return float(match[1]) * _UNITS[match[2]]


Duration = Annotated[float, BeforeValidator(parse_duration), Field(ge=0, le=_LONGEST)]
