"""Serialise schemas as JSON, in the one form of the API, its exports and the command line."""

import json
from datetime import UTC, datetime
from typing import Any

from app.schemas.fields import Schema


def as_object(schema: Schema) -> dict[str, Any]:
    """Return the schema as JSON types: camelCase names, times as text, null for missing values."""
    written: dict[str, Any] = _plain(schema.model_dump(by_alias=True))
    return written


def as_json(schema: Schema) -> str:
    """Return the schema as compact JSON."""
    # pydantic's own writer raises on half a surrogate pair, which platforms do send.
    return json.dumps(as_object(schema), separators=(",", ":"))


def format_time(moment: datetime) -> str:
    """Format a time in UTC with microseconds, so that texts sort by time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return format_time(value)
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
    return value
