"""What does our API look like, written from the code that serves it? OpenAPI 3.1."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from flask import Flask
from pydantic.alias_generators import to_camel
from pydantic.json_schema import models_json_schema

from app import __version__
from app.web.problems import KINDS
from app.web.shapes import Shape

View = TypeVar("View", bound=Callable[..., Any])

_REF = "#/components/schemas/{model}"


@dataclass(frozen=True, slots=True)
class Operation:
    """What a view says of itself. ``answers``: by status, a shape, a media type, or a word."""

    summary: str
    answers: Mapping[int, type[Shape] | str]
    body: type[Shape] | None = None
    query: type[Shape] | None = None
    problems: Sequence[str] = field(default_factory=tuple)
    tag: str = "api"
    security: str | None = None


def operation(**told: Any) -> Callable[[View], View]:
    """Describe a view. A route without a description fails a test."""

    def decorate(view: View) -> View:
        view.operation = Operation(**told)  # type: ignore[attr-defined]
        return view

    return decorate


def document(app: Flask) -> dict[str, Any]:
    """The OpenAPI document of every described route of ``app``."""
    operations = list(_operations(app))
    shapes = sorted({s for _, _, o, _ in operations for s in _shapes(o)}, key=lambda s: s.__name__)
    _, schemas = models_json_schema([(shape, "validation") for shape in shapes], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for path, method, told, role in operations:
        paths.setdefault(path, {})[method] = _described(path, told, role)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Vouch",
            "version": __version__,
            "description": "Turns social actions into Gameball rewards.",
        },
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {**schemas.get("$defs", {}), "Problem": _PROBLEM},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key."},
                "claimToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The claim token that made the attempt.",
                },
            },
        },
    }


_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "enum": [f"/docs#{kind}" for kind in KINDS]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "problem": {"type": "string"}},
            },
        },
    },
}


def _operations(app: Flask) -> Any:
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        told = getattr(view, "operation", None)
        if told is None:
            continue
        path = re.sub(r"<(?:[^:>]+:)?([^>]+)>", _parameter, rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield path, method.lower(), told, getattr(view, "role", None)


def _parameter(variable: re.Match[str]) -> str:
    return f"{{{to_camel(variable[1])}}}"


def _shapes(told: Operation) -> set[type[Shape]]:
    found = {shape for shape in told.answers.values() if isinstance(shape, type)}
    return found | ({told.body} if told.body else set())


def _described(path: str, told: Operation, role: str | None) -> dict[str, Any]:
    security = "key" if role else told.security
    described: dict[str, Any] = {
        "summary": told.summary,
        "tags": [told.tag],
        "parameters": _path_parameters(path) + _query_parameters(told.query),
        "responses": _responses(told, role),
    }
    if told.body:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _ref(told.body)}},
        }
    if security:
        described["security"] = [{security: []}]
    if role:
        described["description"] = f"Needs a key with the role `{role}`."
    return described


def _responses(told: Operation, role: str | None) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, answer in told.answers.items():
        responses[str(status)] = _answer(answer)
    kinds = [*told.problems, *(("unauthenticated", "forbidden") if role else ()), "storage"]
    for kind in kinds:
        entry = responses.setdefault(
            str(KINDS[kind].status),
            {
                "description": "",
                "content": {"application/problem+json": {"schema": _ref_to("Problem")}},
            },
        )
        entry["description"] = "; ".join(filter(None, [entry["description"], KINDS[kind].title]))
    return responses


def _answer(answer: type[Shape] | str) -> dict[str, Any]:
    if isinstance(answer, type):
        text = (answer.__doc__ or "").strip().splitlines()[0] if answer.__doc__ else "Done."
        return {"description": text, "content": {"application/json": {"schema": _ref(answer)}}}
    if "/" in answer and " " not in answer:
        return {"description": answer, "content": {answer: {"schema": {"type": "string"}}}}
    return {"description": answer}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{([^}]+)\}", path)
    ]


def _query_parameters(query: type[Shape] | None) -> list[dict[str, Any]]:
    if query is None:
        return []
    schema = query.model_json_schema(by_alias=True)
    needed = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in needed, "schema": part}
        for name, part in schema.get("properties", {}).items()
    ]


def _ref(shape: type[Shape]) -> dict[str, str]:
    return _ref_to(shape.__name__)


def _ref_to(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(model=name)}
