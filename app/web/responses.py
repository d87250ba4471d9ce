"""Responses of the API."""

from flask import Response

from app.schemas.fields import Schema
from app.schemas.serialise import as_json


def reply(schema: Schema, status: int = 200) -> Response:
    """Return JSON that no cache may keep: it names people, and is soon outdated."""
    headers = {"Cache-Control": "no-store"}
    return Response(as_json(schema), status, headers, content_type="application/json")
