"""Does whoever may only look see nothing of what is personal, and everything else?"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.domain.attempts import State
from app.service import Service
from app.steps.keys import Role
from tests.clock import Clock
from tests.steps.world import World
from tests.web.history.conftest import NOW, Caller, Past
from tests.web.history.test_attempts import CallAs
from tests.web.history.test_history import receive_follow

STATEMENT, COUPON, HANDLE = "i did it, jane", "SUMMER-OF-JANE", "jane_doe"


@pytest.fixture
def attempt_id(service: Service, past: Past) -> str:
    """A paid attempt with a handle, a payload, a statement and a coupon."""
    receive_follow(service, "jane", HANDLE)
    world = World(database=service.database, clock=Clock(NOW))
    [event] = world.stored_events()
    said = json.dumps({"note": STATEMENT})
    made = past.attempt(event_id=event.id, challenge_id=2, claimed=said)
    world.granted(made, coupon_code=COUPON)
    return made


def ways(attempt_id: str) -> Iterator[str]:
    yield "/v1/attempts"
    yield f"/v1/attempts/{attempt_id}"
    for kind in ("csv", "ndjson"):
        yield f"/v1/attempts/export?format={kind}"


def told(caller: Caller, attempt_id: str) -> set[str]:
    """Which of it any answer tells."""
    texts = "".join(caller.get(path).text for path in ways(attempt_id))
    return {one for one in (STATEMENT, COUPON, HANDLE) if one in texts}


@pytest.mark.parametrize("path", ["/v1/attempts", "/v1/attempts/export"])
@pytest.mark.parametrize("typed", [HANDLE, f"@{HANDLE.upper()}"])
@pytest.mark.parametrize(
    ("role", "is_found"), [(Role.VIEWER, False), (Role.OPERATOR, True), (Role.ADMIN, True)]
)
def test_only_who_sees_a_handle_finds_an_attempt_by_it(
    call_as: CallAs, attempt_id: str, path: str, typed: str, role: Role, is_found: bool
) -> None:
    query = {"q": typed, **({"format": "ndjson"} if path.endswith("export") else {})}

    answer = call_as(role).get(path, **query)

    assert answer.status_code == 200
    assert (attempt_id in answer.text) is is_found


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN])
def test_who_may_act_sees_what_is_personal(call_as: CallAs, attempt_id: str, role: Role) -> None:
    assert told(call_as(role), attempt_id) == {STATEMENT, COUPON, HANDLE}


def test_who_may_only_look_sees_nothing_personal(viewer: Caller, attempt_id: str) -> None:
    assert told(viewer, attempt_id) == set()


def test_who_may_only_look_sees_everything_else(
    viewer: Caller, operator: Caller, attempt_id: str
) -> None:
    path = f"/v1/attempts/{attempt_id}"

    seen, whole = (json.loads(caller.get(path).text) for caller in (viewer, operator))

    assert seen.keys() == whole.keys()
    assert (seen["state"], seen["customerId"]) == (State.GRANTED, "customer-1")
    assert differing(seen, whole) == {
        "claimed",
        "grantedCoupon",
        "confirmation.granted.coupon",
        "event.actorHandle",
        "event.payload",
    }


def differing(seen: dict[str, Any], whole: dict[str, Any], within: str = "") -> set[str]:
    found = set()
    for name, value in whole.items():
        if isinstance(value, dict) and isinstance(seen[name], dict):
            found |= differing(seen[name], value, f"{within}{name}.")
        elif seen[name] != value:
            found.add(f"{within}{name}")
    return found


def test_what_is_withheld_says_so_in_the_document(viewer: Caller) -> None:
    schemas = json.loads(viewer.get("/openapi.json").text)["components"]["schemas"]

    needing = {
        (name, field)
        for name, schema in schemas.items()
        for field, told in schema.get("properties", {}).items()
        if told.get("x-needs-role") == "operator"
    }

    assert needing >= {("AttemptInFull", "claimed"), ("Event", "payload"), ("Granted", "coupon")}
    assert {field for _, field in needing} == {
        *("claimed", "grantedCoupon", "coupon", "actorHandle", "payload")
    }
