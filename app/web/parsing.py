"""Read the body, query and path of a request into schemas; a mistake is a 4xx `Problem`."""

import json
from collections import Counter
from functools import lru_cache
from typing import Any, TypeVar, get_args, get_origin
from urllib.parse import unquote, unquote_to_bytes

from flask import request
from pydantic import ValidationError

from app.domain.texts import is_written
from app.schemas.fields import Schema
from app.settings.error_messages import message, mistakes
from app.web.context import whole_body
from app.web.problems import Problem

MAX_BODY_BYTES = 65_536

S = TypeVar("S", bound=Schema)


def body_as(shape: type[S], most: int = MAX_BODY_BYTES) -> S:
    """Parse the request's JSON body. Raises a 4xx `Problem` that names every wrong member."""
    if request.mimetype != "application/json":
        raise Problem("media-type", "Send Content-Type: application/json.")
    body = whole_body(request, most)
    try:
        # Strict: "7", 7.0 and true are not the number 7.
        parsed = shape.model_validate_json(body, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        raise refusal(error) from None
    _refuse_twice(_names_twice(body))
    return parsed


def id_in_path(value: str) -> str:
    """Return an id from the path. Raises a `Problem` where two ids would become one."""
    # Werkzeug writes U+FFFD for bytes that are not UTF-8.
    if "\ufffd" in value:
        raise Problem("malformed", "The path is not UTF-8.")
    # Only the raw path distinguishes a slash of the id from a superfluous slash.
    raw = request.environ.get("RAW_URI", "").partition("?")[0].rpartition("/")[2]
    if unquote(raw) != value:
        raise Problem("unknown", "There is nothing here. Write a slash in an id as %2F.")
    return value


def query_as(shape: type[S]) -> S:
    """The query string. A list is given by repeating its name, by commas, or both.

    Any other name given twice is a mistake, not a choice.
    """
    try:
        unquote_to_bytes(request.query_string).decode()
    except UnicodeDecodeError:
        raise Problem("malformed", "The query is not UTF-8.") from None
    lists = _list_names(shape)
    given: dict[str, Any] = {}
    for name, values in request.args.lists():
        if name in lists:
            given[name] = [part for value in values for part in value.split(",")]
        else:
            given[name] = values[0]
    _refuse_twice([n for n, values in request.args.lists() if len(values) > 1 and n not in lists])
    try:
        return shape.model_validate(given, by_alias=True, by_name=False)
    except ValidationError as error:
        raise refusal(error, status=400) from None


@lru_cache
def _list_names(shape: type[Schema]) -> frozenset[str]:
    """The members of a query that take several values, as the query names them."""
    fields = shape.model_fields.values()
    return frozenset(str(one.alias) for one in fields if _is_list(one.annotation))


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is tuple or any(map(_is_list, get_args(annotation)))


def _names_twice(body: bytes) -> list[str]:
    """Return the members that an object of the body has twice; pydantic would keep the last."""
    twice: list[str] = []

    def note(members: list[tuple[str, Any]]) -> None:
        counts = Counter(name for name, _ in members)
        twice.extend(name for name, count in counts.items() if count > 1)

    json.loads(body, object_pairs_hook=note, parse_int=str)
    return twice


def _refuse_twice(names: list[str]) -> None:
    if names:
        listed = ", ".join(sorted(name for name in names if is_written(name)))
        raise Problem("malformed", f"Given more than once: {listed[:200]}.")


def refusal(error: ValidationError, status: int | None = None) -> Problem:
    """Return a problem that names each wrong member, but never its value, which may be a secret."""
    details = mistakes(error)
    if any(detail["type"] == "json_invalid" for detail in details):
        return Problem("malformed", "The body is not JSON.")
    errors: list[dict[str, Any]] = [
        {
            "field": ".".join(str(step) for step in detail["loc"])[:100],
            "problem": message(detail),
        }
        for detail in details[:20]
    ]
    return Problem("invalid", "See errors.", status=status, errors=errors)
