"""Is the document right, and does it keep pace with the code?"""

import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from app import __version__
from app.domain.attempts import State
from app.schemas import audit, filters
from app.schemas.fields import AccountId
from app.service import Service
from app.steps.keys import Role
from app.web import create_app
from app.web.api import openapi
from app.web.problems import PROBLEM_TYPES
from tests.web.history.conftest import Caller, MakeService, Past
from tests.web.history.test_attempts import NO_ATTEMPT, QUERIES, READS, WRITES, CallAs

OTHERS = (
    "/healthz",
    "/readyz",
    "/metrics",
    "/docs",
    "/docs/style.css",
    "/openapi.json",
    "/v1/attempts?x=1",
    "/v1/attempts?limit=1&limit=2",
    "/webhooks/twitch",
    "/webhooks/none",
)
BODIES: tuple[Any, ...] = (None, {}, [], {"all": True}, {"q": "x" * 70_000})
METHODS = {"get", "put", "post", "delete", "patch"}


@pytest.fixture
def app(make_service: MakeService, sqlite_url: str) -> Flask:
    return create_app(make_service(sqlite_url))


@pytest.fixture
def document(app: Flask) -> dict[str, Any]:
    return openapi.document(app)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def everything(part: Any) -> Iterator[dict[str, Any]]:
    """Every object inside the document, at any depth."""
    if isinstance(part, dict):
        yield part
    for inner in (
        part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    ):
        yield from everything(inner)


def test_every_route_describes_itself(app: Flask) -> None:
    silent = [
        rule.rule
        for rule in app.url_map.iter_rules()
        if (rule.methods or set()) - {"HEAD", "OPTIONS"}
        and not hasattr(app.view_functions[rule.endpoint], "operation")
    ]

    assert silent == []


def test_every_route_is_in_the_document(app: Flask, document: dict[str, Any]) -> None:
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", "{}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    told = {(re.sub(r"\{\w+\}", "{}", path), method) for path, method, _ in operations(document)}

    assert told == served


def test_the_document_has_the_keys_of_openapi_31(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert document["info"]["title"]
    assert document["info"]["version"] == __version__
    assert set(document) <= {"openapi", "info", "servers", "tags", "paths", "components"}
    assert json.loads(json.dumps(document)) == document


def test_every_operation_has_what_one_needs(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    for path, method, operation in operations(document):
        assert method in METHODS
        assert set(operation) <= {
            "operationId", "summary", "description", "tags", "parameters", "requestBody",
            "responses", "security",
        }  # fmt: skip
        assert operation["summary"], path
        assert not operation["summary"].endswith("."), path
        assert operation["description"].endswith("."), path
        assert set(operation["tags"]) <= tags
        assert any(status.startswith("2") for status in operation["responses"]), path
        assert all(answer["description"] for answer in operation["responses"].values()), path


def test_every_operation_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]

    assert len(names) == len(set(names))
    assert [name for name in names if not re.fullmatch(r"[a-z]+([A-Z][a-z]+)*", name)] == []


def test_every_operation_may_answer_with_a_problem(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        refused = {
            status: answer["content"]
            for status, answer in operation["responses"].items()
            if status >= "400"
        }
        assert "500" in refused, (path, method)
        for content in refused.values():
            schema = {"$ref": "#/components/schemas/Problem"}
            assert content == {"application/problem+json": {"schema": schema}}


def test_every_body_has_an_example_that_is_valid(app: Flask, document: dict[str, Any]) -> None:
    bodies = {
        told.body
        for view in app.view_functions.values()
        if (told := getattr(view, "operation", None)) and told.body
    }

    assert bodies
    for body in bodies:
        (example,) = document["components"]["schemas"][body.__name__]["examples"]
        body.model_validate_json(json.dumps(example), strict=True, by_alias=True, by_name=False)


def test_nothing_that_is_sent_is_null_or_named_by_default(document: dict[str, Any]) -> None:
    assert all(part.get("default", ...) is not None for part in everything(document))
    for _, _, operation in operations(document):
        for content in operation.get("requestBody", {"content": {}})["content"].values():
            schema = content["schema"]["$ref"].rpartition("/")[2]
            members = document["components"]["schemas"][schema]["properties"]
            assert all("default" not in member for member in members.values())


def test_every_member_of_an_answer_is_always_there(app: Flask, document: dict[str, Any]) -> None:
    """Null where there is no value: a client need not tell that from a member left out."""
    schemas = document["components"]["schemas"]
    sent = {"Statement", "Problem", *(n for n in schemas if n.endswith("Request"))}

    for name, schema in schemas.items():
        if name not in sent and "properties" in schema:
            assert set(schema["properties"]) == set(schema["required"]), name


def test_the_document_describes_itself_as_an_object(document: dict[str, Any]) -> None:
    answer = document["paths"]["/openapi.json"]["get"]["responses"]["200"]

    assert answer["content"]["application/json"]["schema"]["type"] == "object"
    assert document["servers"][0]["url"] == "/"


def test_every_parameter_is_whole(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        in_path = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", path))
        for one in operation["parameters"]:
            assert one["in"] in ("path", "query")
            is_needed = one["name"] == "format" or path == "/v1/identities"
            assert one["required"] is (one["in"] == "path" or is_needed)
            assert one["schema"]
            assert {"type": "null"} not in one["schema"].get("anyOf", [])


def test_every_reference_leads_somewhere_and_every_schema_is_used(
    document: dict[str, Any],
) -> None:
    refs = {part["$ref"] for part in everything(document) if "$ref" in part}
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}

    assert refs == known


def test_security_names_schemes_that_exist(document: dict[str, Any]) -> None:
    schemes = set(document["components"]["securitySchemes"])
    for path, _, operation in operations(document):
        needed = {name for one in operation["security"] for name in one}
        assert needed <= schemes
        # A claim carries its token in its body.
        if path.startswith("/v1/") and path != "/v1/claims":
            assert needed, path


@pytest.mark.parametrize(
    ("path", "method", "expected"),
    [
        ("/v1/attempts", "get", {"200", "400", "401", "403", "500", "503"}),
        ("/v1/attempts/{attemptId}", "get", {"200", "401", "403", "404", "500", "503"}),
        ("/v1/attempts/{attemptId}/replay", "post",
         {"200", "401", "403", "404", "409", "500", "503"}),
        ("/v1/attempts/replay", "post",
         {"200", "202", "400", "401", "403", "413", "415", "422", "500", "503"}),
        ("/healthz", "get", {"200", "500", "503"}),
        ("/readyz", "get", {"200", "500", "503"}),
        ("/webhooks/{source}", "post",
         {"200", "204", "400", "401", "403", "404", "413", "500", "503"}),
        ("/v1/identities/{platform}/{accountId}", "put",
         {"200", "201", "400", "401", "403", "404", "409", "413", "415", "422", "500", "503"}),
        ("/v1/customers/{customerId}", "delete",
         {"200", "202", "400", "401", "403", "404", "422", "500", "503"}),
    ],
)  # fmt: skip
def test_an_operation_says_what_it_may_answer(
    document: dict[str, Any], path: str, method: str, expected: set[str]
) -> None:
    assert set(document["paths"][path][method]["responses"]) == expected


@pytest.mark.parametrize("account_id", ["a/b", "a%0Ab"])
def test_a_path_that_names_no_account_is_answered_as_described(
    document: dict[str, Any], call_as: CallAs, account_id: str
) -> None:
    caller = call_as(Role.BACKEND)

    told = document["paths"]["/v1/identities/{platform}/{accountId}"]["put"]["responses"]

    answer = caller.client.put(
        f"/v1/identities/twitch/{account_id}",
        headers={"Authorization": f"Bearer {caller.key}"},
        json={"customerId": "ada"},
    )
    assert str(answer.status_code) in told


# https://json-schema.org/draft/2020-12/json-schema-validation
KEYWORDS = {
    "string": {"minLength", "maxLength", "pattern", "format"},
    "integer": {"minimum", "maximum"},
    "number": {"minimum", "maximum"},
    "boolean": set(),
    "array": {"items", "minItems"},
    "object": {"properties", "required", "additionalProperties", "propertyNames"},
}
ANY_TYPE = {
    "type", "title", "description", "default", "enum", "const", "examples", "deprecated",
    "x-needs-role",
}  # fmt: skip


def test_schemas_say_what_they_demand_in_words_of_json_schema(document: dict[str, Any]) -> None:
    typed = [part for part in everything(document) if isinstance(part.get("type"), str)]
    schemas = [part for part in typed if part["type"] in KEYWORDS]

    for schema in schemas:
        assert set(schema) <= ANY_TYPE | KEYWORDS[schema["type"]], schema


def test_what_is_refused_for_its_size_or_form_is_described(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    mint, link = schemas["TokenRequest"]["properties"], "/v1/identities/{platform}/{accountId}"
    in_path = {p["name"]: p["schema"] for p in document["paths"][link]["put"]["parameters"]}

    assert mint["challengeId"]["minimum"] == 1
    assert mint["challengeId"]["maximum"] == 2_147_483_647
    assert "@" in mint["email"]["anyOf"][0]["pattern"]
    assert schemas["BulkRequest"]["properties"]["state"]["anyOf"][0]["minItems"] == 1
    assert in_path["platform"]["pattern"]
    limits = {name: in_path["accountId"][name] for name in ("type", "minLength", "maxLength")}
    assert limits == {"type": "string", "minLength": 1, "maxLength": 255}


def test_an_answer_that_asks_for_patience_says_for_how_long(document: dict[str, Any]) -> None:
    claims = document["paths"]["/v1/claims"]["post"]["responses"]

    for status in ("429", "503"):
        assert claims[status]["headers"]["Retry-After"]["schema"]["type"] == "integer"
    assert "headers" not in claims["422"]


def test_filters_are_parameters_as_they_are_written(document: dict[str, Any]) -> None:
    parameters = {p["name"]: p for p in document["paths"]["/v1/attempts"]["get"]["parameters"]}

    assert set(parameters) == {n for q in QUERIES.values() for n in q} | {"limit", "cursor"}
    assert parameters["state"]["schema"]["items"] == {"$ref": "#/components/schemas/State"}
    assert (parameters["state"]["style"], parameters["state"]["explode"]) == ("form", True)
    assert parameters["limit"]["schema"] == {
        "type": "integer",
        "default": 50,
        "minimum": 1,
        "maximum": 200,
    }
    assert document["components"]["schemas"]["State"]["enum"] == list(State)


def test_problems_point_at_the_page_that_explains_them(document: dict[str, Any]) -> None:
    types = document["components"]["schemas"]["Problem"]["properties"]["type"]["enum"]

    assert types == [f"/docs#{kind}" for kind in PROBLEM_TYPES]


def test_the_document_is_served_in_the_order_in_which_it_was_written(
    app: Flask, document: dict[str, Any]
) -> None:
    answer = app.test_client().get("/openapi.json")

    assert answer.content_type == "application/json"
    assert json.dumps(answer.json) == json.dumps(document)


def test_no_answer_goes_undescribed(
    service: Service, call_as: CallAs, past: Past, document: dict[str, Any]
) -> None:
    """What each operation really answers, to right and wrong requests, stands in the document."""
    dead = past.attempt(State.DEAD)
    callers = [Caller(create_app(service).test_client(), "junk"), *map(call_as, Role)]
    one = f"/v1/attempts/{dead}"

    asked = [
        (path, "get", caller.get(path)) for caller in callers for path in (*READS, *OTHERS, one)
    ]
    asked += [
        (path, "post", caller.post(path, body))
        for caller in callers
        for path in (*WRITES, f"{one}/replay", f"{one}/cancel", "/webhooks/twitch")
        for body in BODIES
    ]

    for path, method, answer in asked:
        responses = document["paths"][template_of(path, dead)][method]["responses"]
        told = responses.get(str(answer.status_code))
        assert told, (path, method, answer.status_code)
        if answer.status_code != 204:
            assert answer.mimetype in told["content"], (path, method, answer.status_code)
        if answer.mimetype == "application/problem+json":
            kind = json.loads(answer.text)["type"].removeprefix("/docs#")
            assert f"`{kind}`" in told["description"], (path, method, kind)


def template_of(path: str, attempt_id: str) -> str:
    path = path.partition("?")[0].replace(NO_ATTEMPT, "{attemptId}")
    path = path.replace(attempt_id, "{attemptId}")
    return re.sub(r"^/webhooks/\w+", "/webhooks/{source}", path)


LINES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(LINES | st.from_regex(r"\A[\s\x00-\x20a=]+\Z"))
def test_a_text_that_is_taken_fits_the_pattern_of_the_document(text: str) -> None:
    pattern = TypeAdapter(AccountId).json_schema()["pattern"]

    try:
        TypeAdapter(AccountId).validate_python(text)
    except ValidationError:
        return
    assert re.search(pattern, text)


@given(st.uuids(), st.integers(0, 2**63 - 1))
def test_a_cursor_fits_the_pattern_of_the_document(attempt_id: UUID, entry_id: int) -> None:
    for kind, cursor in (
        (filters.Cursor, filters.cursor_after(str(attempt_id))),
        (audit.Cursor, audit.cursor_after(entry_id)),
    ):
        assert re.search(TypeAdapter(kind).json_schema()["pattern"], cursor)
