"""Serialise schemas as JSON, in the one form of the API, its exports and the command line."""

import json
from datetime import datetime
from typing import Any

from app.domain.clock import iso_utc
from app.schemas.fields import Schema


def as_object(schema: Schema) -> dict[str, Any]:
    """Every member under its name in JSON; None where there is no value."""
    return schema.model_dump(by_alias=True)


def as_json(schema: Schema) -> str:
    """The schema as compact JSON, with times as `iso_utc` writes them."""
    # pydantic's own writer raises on half a surrogate pair, which platforms do send.
    return json.dumps(as_object(schema), default=_plain, separators=(",", ":"))


def _plain(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"an answer cannot contain a {type(value).__name__}")
    return iso_utc(value)
