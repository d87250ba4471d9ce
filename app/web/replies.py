"""How is an answer of ours written?"""

import json
from typing import Any

from flask import Response

from app.web.shapes import Shape


def reply(shape: Shape, status: int = 200) -> Response:
    """A shape as JSON. Not to be stored on the way: it is about people, and soon out of date."""
    headers = {"Cache-Control": "no-store"}
    return Response(json_text(shape), status, headers, content_type="application/json")


def json_text(shape: Shape) -> str:
    # By json, which escapes what is no text (a lone surrogate of a payload) where pydantic raises.
    return json.dumps(as_json(shape))


def as_json(shape: Shape) -> dict[str, Any]:
    """What was set of a shape; a member that was left out is not answered as null."""
    return shape.model_dump(mode="json", by_alias=True, exclude_unset=True)
