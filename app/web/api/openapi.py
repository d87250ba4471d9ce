"""Generate the OpenAPI 3.1 document from the views."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from flask import Flask
from pydantic.alias_generators import to_camel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from app import __version__
from app.schemas.fields import Schema
from app.web.problems import PROBLEM_TYPES

View = TypeVar("View", bound=Callable[..., Any])
Mode = Literal["validation", "serialization"]
Json = dict[str, Any]

_REF = "#/components/schemas/{model}"
# Problem types that are sent with Retry-After.
_SAY_WHEN = frozenset({"too-many", "storage", "keys", "busy"})

# In the order of the documentation.
TAGS: Mapping[str, str] = {
    "webhooks": "What platforms call: handshakes and events.",
    "claims": "What a shop's page and its backend call when a customer says: I did this.",
    "identities": "Whose account is this? What a shop's backend calls.",
    "customers": "What a customer may ask of you: to be forgotten.",
    "attempts": "What happened to whose attempt, and what a person may do about it.",
    "bulk": "Acts on many attempts at once, and how far they are.",
    "events": "What platforms sent, and what it earned.",
    "stats": "Attempts counted over time.",
    "sources": "What was last seen of each configured source.",
    "alerts": "What is wrong, and what was.",
    "audit": "Who changed what.",
    "health": "What monitoring asks. Without a key, and without a word on anybody.",
    "developers": "This document.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """The description of a view.

    ``operation_id`` and ``summary``: one value, or one per method. Generated clients name their
    methods after ``operation_id``. ``answers``: for each status a schema, media types separated by
    |, or a sentence for a response without a body. ``problems``: problem types, or pairs of a type
    and the status that replaces its own. The problems of authentication, query, body and storage
    are added to them. ``path``: the schema of the path's parts, unless any text is allowed.
    """

    operation_id: str | Mapping[str, str]
    summary: str | Mapping[str, str]
    answers: Mapping[int, type[Schema] | str]
    description: str | Mapping[str, str]
    body: type[Schema] | None = None
    query: type[Schema] | None = None
    path: type[Schema] | None = None
    problems: Sequence[str | tuple[str, int]] = field(default_factory=tuple)
    tag: str = "api"
    security: str | None = None
    uses_storage: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation with its path and method."""

    path: str
    method: str
    name: str
    told: Operation
    role: str | None
    path_types: Mapping[str, str]
    reads_history: bool = False


def operation(**told: Any) -> Callable[[View], View]:
    """Describe a view. A test fails for a route without a description."""

    def decorate(view: View) -> View:
        view.operation = Operation(**told)  # type: ignore[attr-defined]
        return view

    return decorate


def document(app: Flask) -> Json:
    """Return the OpenAPI document of all described routes of ``app``."""
    routes = list(_routes(app))
    schemas = _Schemas([route.told for route in routes])
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method] = _described(route, schemas)
    tags = dict.fromkeys([*TAGS, *(route.told.tag for route in routes)])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Vouch",
            "version": __version__,
            "description": "Turns social actions into Gameball rewards.",
        },
        "servers": [{"url": "/", "description": "Where this document was read."}],
        "tags": [{"name": tag, "description": TAGS.get(tag, "")} for tag in tags],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {**schemas.components, "Problem": _PROBLEM},
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


_PROBLEM: Json = {
    "type": "object",
    "description": "Why the answer is no. RFC 9457.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "enum": [f"/docs#{kind}" for kind in PROBLEM_TYPES]},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "What was wrong with this request."},
        "errors": {
            "type": "array",
            "description": "Where a value is wrong: which, and why.",
            "items": {
                "type": "object",
                "required": ["field", "problem"],
                "properties": {"field": {"type": "string"}, "problem": {"type": "string"}},
            },
        },
    },
    "examples": [
        {
            "type": "/docs#invalid",
            "title": PROBLEM_TYPES["invalid"].title,
            "status": 422,
            "detail": "See errors.",
            "errors": [{"field": "customerId", "problem": "Field required"}],
        }
    ],
}


_RETRY_AFTER: Json = {
    "description": "Seconds to wait before it is sent again.",
    "schema": {"type": "integer", "minimum": 0},
}


class _Untitled(GenerateJsonSchema):
    """Omits the titles of members: they repeat the names, and generators turn them into classes."""

    def field_title_should_be_set(self, _schema: Any) -> bool:
        return False


class _Schemas:
    """The JSON schemas of all requests (as validated) and responses (as serialised)."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        uses = {use for told in operations for use in _uses(told)}
        inputs = sorted(uses, key=lambda use: (use[0].__name__, use[1]))
        refs, schemas = models_json_schema(
            inputs, by_alias=True, ref_template=_REF, schema_generator=_Untitled
        )
        self._refs = {use: str(ref["$ref"]) for use, ref in refs.items()}
        self.components: dict[str, Json] = schemas.get("$defs", {})
        # Path and query schemas become parameters, so nothing refers to them as a whole.
        spread = {shape for told in operations for shape in (told.path, told.query) if shape}
        self._spread = {
            shape: self.components.pop(self._refs[shape, "validation"].split("/")[-1])
            for shape in spread
        }
        for component in self.components.values():
            for member in component.get("properties", {}).values():
                _say_default(member)

    def ref(self, shape: type[Schema], mode: Mode) -> Json:
        return {"$ref": self._refs[shape, mode]}

    def parameters(self, query: type[Schema] | None) -> list[Json]:
        schema = self._spread[query] if query else {}
        needed = schema.get("required", [])
        return [
            _query_parameter(name, part, is_required=name in needed)
            for name, part in schema.get("properties", {}).items()
        ]

    def in_path(self, path: type[Schema] | None, name: str) -> Json:
        """Return the schema of a part of the path, with its description."""
        parts: Json = self._spread[path]["properties"] if path else {}
        return dict(parts.get(name, {}))


def _say_default(member: Json) -> None:
    """Move the default of a member into its description.

    openapi-typescript treats a member with a default as required.
    """
    default = member.pop("default", None)
    if default is not None:
        said = f"If left out: `{json.dumps(default)}`."
        member["description"] = f"{member.get('description', '')} {said}".strip()


def _uses(told: Operation) -> Iterator[tuple[type[Schema], Mode]]:
    yield from ((shape, "validation") for shape in (told.body, told.query, told.path) if shape)
    yield from ((a, "serialization") for a in told.answers.values() if isinstance(a, type))


def _routes(app: Flask) -> Iterator[Route]:
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        told = getattr(view, "operation", None)
        if told is None:
            continue
        parts = re.findall(r"<(?:([^:>]+):)?([^>]+)>", rule.rule)
        path = re.sub(r"<(?:[^:>]+:)?([^>]+)>", lambda m: f"{{{to_camel(m[1])}}}", rule.rule)
        methods = sorted(m.lower() for m in (rule.methods or set()) - {"HEAD", "OPTIONS"})
        for method in methods:
            name = _of_method(told.operation_id, method)
            types = {to_camel(part): kind for kind, part in parts}
            role, reads = getattr(view, "role", None), getattr(view, "reads_history", False)
            yield Route(
                path=path,
                method=method,
                name=name,
                told=told,
                role=role,
                path_types=types,
                reads_history=reads,
            )


def _of_method(said: str | Mapping[str, str], method: str) -> str:
    return said if isinstance(said, str) else said[method]


def _described(route: Route, schemas: _Schemas) -> Json:
    told = route.told
    needs = f"Needs a key with the role `{route.role}`." if route.role else ""
    security = "key" if route.role else told.security
    described: Json = {
        "operationId": route.name,
        "summary": _of_method(told.summary, route.method),
        "description": " ".join(filter(None, [_of_method(told.description, route.method), needs])),
        "tags": [told.tag],
        "parameters": _path_parameters(route, schemas) + schemas.parameters(told.query),
        "responses": _responses(route, schemas),
        # An empty list says explicitly that no key is needed.
        "security": [{security: []}] if security else [],
    }
    if told.body:
        schema = schemas.ref(told.body, "validation")
        content = {"application/json": {"schema": schema}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _responses(route: Route, schemas: _Schemas) -> Json:
    responses = {str(s): _answer(answer, schemas) for s, answer in route.told.answers.items()}
    for kind, status in _problems(route):
        entry = responses.setdefault(str(status), _problem_answer())
        described = [entry["description"], f"`{kind}`: {PROBLEM_TYPES[kind].title}."]
        entry["description"] = " ".join(filter(None, described))
        if kind in _SAY_WHEN:
            entry["headers"] = {"Retry-After": _RETRY_AFTER}
    return dict(sorted(responses.items()))


def _problems(route: Route) -> dict[tuple[str, int], None]:
    """Return the problem types of a route and their statuses, without repeats."""
    told = route.told
    kinds = [
        *told.problems,
        *(("malformed", ("invalid", 400)) if told.query else ()),
        *(("malformed", "too-large", "media-type", "invalid") if told.body else ()),
        *(("unauthenticated", "forbidden") if route.role else ()),
        *(("storage",) if told.uses_storage else ()),
        *(("busy",) if told.tag != "webhooks" else ()),
        *(("too-slow",) if route.reads_history else ()),
        "fault",
    ]
    found = [
        (kind, PROBLEM_TYPES[kind].status) if isinstance(kind, str) else kind for kind in kinds
    ]
    return dict.fromkeys(found)


def _problem_answer() -> Json:
    content = {"application/problem+json": {"schema": {"$ref": _REF.format(model="Problem")}}}
    return {"description": "", "content": content}


def _answer(answer: type[Schema] | str, schemas: _Schemas) -> Json:
    if isinstance(answer, type):
        text = (answer.__doc__ or "Done.").strip().splitlines()[0]
        schema = schemas.ref(answer, "serialization")
        return {"description": text, "content": {"application/json": {"schema": schema}}}
    if "/" in answer and " " not in answer:
        types = answer.split("|")
        content = {media_type: {"schema": _schema_of(media_type)} for media_type in types}
        return {"description": " or ".join(types), "content": content}
    return {"description": answer}


def _schema_of(media_type: str) -> Json:
    if media_type == "application/json":
        return {"type": "object", "additionalProperties": True}
    return {"type": "string"}


def _path_parameters(route: Route, schemas: _Schemas) -> list[Json]:
    return [
        _path_parameter(name, kind, schemas.in_path(route.told.path, name))
        for name, kind in route.path_types.items()
    ]


def _path_parameter(name: str, kind: str, schema: Json) -> Json:
    formats = {"uuid": {"type": "string", "format": "uuid"}}
    described: Json = {"name": name, "in": "path", "required": True}
    told = schema.pop("description", None)
    if told:
        described["description"] = told
    return {**described, "schema": schema or formats.get(kind, {"type": "string"})}


def _query_parameter(name: str, schema: Json, *, is_required: bool) -> Json:
    """Describe a query parameter. It is omitted instead of null, and repeated for a list."""
    schema = dict(schema)
    told = schema.pop("description", None)
    if schema.get("default", ...) is None:
        del schema["default"]
    present = [part for part in schema.pop("anyOf", []) if part.get("type") != "null"]
    for part in present:
        schema = {**part, **schema}
    described: Json = {"name": name, "in": "query", "required": is_required, "schema": schema}
    told = told or schema.pop("description", None)
    if schema.get("type") == "array":
        described.update(style="form", explode=True)
        told = " ".join(filter(None, [told, "Repeat it for several, or put commas between."]))
    if told:
        described["description"] = told
    return described
