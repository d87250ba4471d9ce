"""Writes schemas as JSON: the one spelling of the API, its exports and the command line."""

import json
from datetime import datetime
from typing import Any

from app.domain.clock import format_time as format_time
from app.schemas.fields import Schema


def as_object(schema: Schema) -> dict[str, Any]:
    """The schema as what `json` can write: camelCase names, times as texts, null for no value."""
    written: dict[str, Any] = _plain(schema.model_dump(by_alias=True))
    return written


def as_json(schema: Schema) -> str:
    """The schema as compact JSON."""
    # pydantic's own writer raises on half a surrogate pair, which platforms do send.
    return json.dumps(as_object(schema), separators=(",", ":"))


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return format_time(value)
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
    return value
