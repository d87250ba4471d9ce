"""How long is "30d"?"""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def parse_duration(value: object) -> object:
    """Seconds from ``"90s"``, ``"15m"``, ``"24h"``, ``"30d"``, ``"2w"``; numbers are seconds."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([smhdw])", value)
    if not match:
        raise ValueError('write a duration as a number and a unit: "90s", "15m", "24h", "30d"')
    return float(match[1]) * _UNITS[match[2]]


Duration = Annotated[float, BeforeValidator(parse_duration), Field(ge=0)]
