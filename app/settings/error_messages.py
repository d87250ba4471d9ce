"""How is a mistake in the file said to somebody who writes TOML and has never heard of pydantic?"""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

# Of these there is one table for each.
_REPEATED = ("rules", "receivers")


def in_our_words(detail: ErrorDetails, model: type[BaseModel]) -> str:
    """What is wrong and, where that can be guessed, what was meant."""
    location = detail["loc"]
    match detail["type"]:
        case "missing":
            return "must be given"
        case "extra_forbidden":
            return f"is no setting here{_near(model, location)}"
        case "tuple_type" if location[0] in _REPEATED and len(location) == 1:
            return f"write each as a table of its own: [[{location[0]}]]"
        case "tuple_type":
            return 'write a list: ["…"]'
    return detail["msg"].removeprefix("Value error, ")


def _near(model: type[BaseModel], location: Sequence[int | str]) -> str:
    *tables, key = location
    table: Any = model
    for step in tables:
        # A number is the place in a list, of whose tables each is alike.
        if isinstance(step, str):
            table = table.model_fields[step].annotation
            table = next(iter(get_args(table)), table)
    meant = get_close_matches(str(key), table.model_fields, 1)
    return f"; is {meant[0]} meant?" if meant else ""
