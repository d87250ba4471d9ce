"""Requests that schemathesis makes from the document, with each role: no answer is undocumented."""

from collections import Counter
from typing import Any

import hypothesis
import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from app.domain.attempts import State
from app.service import Service
from app.steps import keys
from app.steps.keys import Role
from app.web import create_app
from tests.conftest import MakeService
from tests.web.history.conftest import SECRET, Past, follow

# Each makes a few hundred requests.
pytestmark = pytest.mark.timeout(400)

NOBODY, CUSTOMER = "nobody", "a claim token"
# A limit of calls would answer most of them, and no rule at all the rest.
CONFIGURATION = """
[claims]
per_address_per_minute = 100000
per_customer_per_minute = 100000

[[sources]]
name = "twitch"
platform = "twitch"
secrets = ["env:TWITCH_SECRET"]

[[rules]]
challenge_id = 11664
source = "twitch"
action = "follow"
repeat = "every_event"

[[rules]]
challenge_id = 1
platform = "instagram"
action = "follow"
evidence = "claimed"
"""
# Each with valid requests, and with such as break the document's rules.
MODES = {GenerationMode.POSITIVE: 5, GenerationMode.NEGATIVE: 2}
SETTINGS = hypothesis.settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def service(make_service: MakeService) -> Service:
    """A service with an attempt in each state, an event and nobody's account."""
    made = make_service(CONFIGURATION, TWITCH_SECRET=SECRET, VOUCH_SECRET_KEYS="k" * 32)
    past = Past(made)
    for state in State:
        past.attempt(state)
    return made


@pytest.fixture
def app(service: Service) -> Flask:
    return create_app(service)


@pytest.fixture
def known(app: Flask, service: Service) -> dict[str, Any]:
    """Names that paths may have, so that not everything is answered with 404."""
    client = app.test_client()
    body, headers = follow(service, "account-9")
    assert client.post("/webhooks/twitch", data=body, headers=headers).status_code == 204
    reads = {"Authorization": f"Bearer {key_of(Role.VIEWER, service)}"}
    event = client.get("/v1/events", headers=reads).get_json()["items"][0]
    return {
        "attemptId": event["attempts"][0]["id"],
        "eventId": event["id"],
        "platform": "twitch",
        "source": "twitch",
    }


def key_of(role: Role, service: Service) -> str:
    return service.database.write(lambda c: keys.create(c, role, str(role), service.now()))[1]


def token_of(holder: str, service: Service, client: FlaskClient, known: dict[str, Any]) -> str:
    """What the holder sends as the bearer. A customer's attempt takes the place of the known."""
    if holder == NOBODY:
        return ""
    if holder != CUSTOMER:
        return key_of(Role(holder), service)
    backend = {"Authorization": f"Bearer {key_of(Role.BACKEND, service)}"}
    wanted = {"customerId": "ada", "challengeId": 1}
    token: str = client.post("/v1/claim-tokens", json=wanted, headers=backend).get_json()["token"]
    receipt = client.post("/v1/claims", json={"token": token}).get_json()
    known["attemptId"] = receipt["attemptId"]
    return token


@pytest.mark.parametrize("holder", [NOBODY, CUSTOMER, *Role])
def test_every_answer_is_one_that_the_document_has(
    service: Service, app: Flask, known: dict[str, Any], holder: str
) -> None:
    """Also: none is a 5xx, what breaks a rule is refused, and no key is ignored."""
    token = token_of(holder, service, app.test_client(), known)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app)
    load_all_checks()
    # The schema allows more than some rules do: which names are known, or what can be printed.
    allowed = CHECKS.get_by_names(["positive_data_acceptance"])
    answers: Counter[int] = Counter()

    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]
        named = {parameter.name for parameter in operation.path_parameters}
        fixed = {name: value for name, value in known.items() if name in named}
        for mode, examples in MODES.items():
            if mode is GenerationMode.NEGATIVE and not breakable(operation):
                continue
            cases = operation.as_strategy(mode, path_parameters=fixed)

            @hypothesis.settings(SETTINGS, max_examples=examples)
            @hypothesis.given(cases)
            def answered_as_documented(case: Any) -> None:
                answer = case.call(headers=headers)
                answers[answer.status_code] += 1
                case.validate_response(answer, headers=headers, excluded_checks=allowed)

            answered_as_documented()

    assert sum(answers.values()) > 100
    assert answers[401] or holder == Role.ADMIN
    assert answers[200]


def breakable(operation: Any) -> bool:
    """Whether a request can break a rule at all: it must have some, of the query or the body."""
    return bool(operation.body or operation.query)
