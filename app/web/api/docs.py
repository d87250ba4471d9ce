"""Serve the API's documentation: the OpenAPI document, and the same as a page."""

import json
from collections.abc import Callable
from functools import lru_cache
from importlib import resources
from threading import Lock
from typing import Any

from flask import Blueprint, Flask, Response, current_app, render_template

from app.web.api import openapi
from app.web.api.openapi import operation
from app.web.problems import PROBLEM_TYPES

_WRITING = Lock()
blueprint = Blueprint("docs", __name__, template_folder="templates")

# The page has no scripts, images or forms, and must not be framed.
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@blueprint.get("/openapi.json")
@operation(
    operation_id="getOpenapi",
    summary="Read this API as OpenAPI 3.1",
    description="The document that this API is described by, written from the code that serves it.",
    answers={200: "application/json"},
    tag="developers",
    uses_storage=False,
)
def document() -> Response:
    return Response(_once(_text_of), content_type="application/json")


@blueprint.get("/docs")
@operation(
    operation_id="getDocs",
    summary="Read this API as a page",
    description="The same document for people. It needs no script.",
    answers={200: "text/html"},
    tag="developers",
    uses_storage=False,
)
def page() -> Response:
    html = _once(_html_of)
    return Response(html, headers=_PAGE_HEADERS, content_type="text/html; charset=utf-8")


@blueprint.get("/docs/style.css")
@operation(
    operation_id="getDocsStyle",
    summary="How the page looks",
    description="The style sheet of `/docs`.",
    answers={200: "text/css"},
    tag="developers",
    uses_storage=False,
)
def style() -> Response:
    css = (resources.files(__package__) / "static" / "docs.css").read_bytes()
    headers = {"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}
    return Response(css, headers=headers, content_type="text/css; charset=utf-8")


def _once(written: Callable[[Flask], str]) -> str:
    """Render only once: rendering takes 0.1 s, and anyone can send many requests at a time."""
    with _WRITING:
        return written(current_app._get_current_object())  # type: ignore[attr-defined]


@lru_cache(maxsize=1)
def _text_of(app: Flask) -> str:
    # Not jsonify: it would sort the keys, which are in a readable order.
    return json.dumps(_document_of(app), separators=(",", ":"))


@lru_cache(maxsize=1)
def _html_of(app: Flask) -> str:
    return render_template("docs.html", document=_document_of(app), kinds=PROBLEM_TYPES)


@lru_cache(maxsize=1)
def _document_of(app: Flask) -> dict[str, Any]:
    return openapi.document(app)
