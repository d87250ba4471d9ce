"""Turn pydantic's errors into messages for people."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

# Each of these has a table of its own.
_REPEATED = ("rules", "receivers")


def mistakes(error: ValidationError) -> list[ErrorDetails]:
    """Return what is wrong, without the input, which may be a secret."""
    return error.errors(include_input=False, include_url=False, include_context=False)


def message(detail: ErrorDetails) -> str:
    """Return pydantic's message without the name of the exception that a validator raised."""
    return detail["msg"].removeprefix("Value error, ")


def in_our_words(detail: ErrorDetails, model: type[BaseModel]) -> str:
    """Return what is wrong and, where it can be guessed, what was meant."""
    location = detail["loc"]
    match detail["type"]:
        case "missing":
            return "must be given"
        case "extra_forbidden":
            return f"is not a setting here{_near(model, location)}"
        case "tuple_type" if location[0] in _REPEATED and len(location) == 1:
            return f"write each as a table of its own: [[{location[0]}]]"
        case "tuple_type":
            return 'write a list: ["…"]'
    return message(detail)


def _near(model: type[BaseModel], location: Sequence[int | str]) -> str:
    *tables, key = location
    table: Any = model
    for step in tables:
        # A number is a position in a list, whose tables are all of one kind.
        if isinstance(step, str):
            table = table.model_fields[step].annotation
            table = next(iter(get_args(table)), table)
    meant = get_close_matches(str(key), table.model_fields, 1)
    return f"; did you mean {meant[0]}?" if meant else ""
