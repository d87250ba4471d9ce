"""Can an operator read who changed what?"""

from typing import Any

import pytest

from app.domain.attempts import State
from app.schemas.audit import cursor_after
from app.service import Service
from app.steps import audit
from app.steps.audit import Change
from app.steps.keys import Role
from tests.conftest import on_sqlite
from tests.web.history.conftest import Caller, Past
from tests.web.history.test_attempts import problem


def noted(service: Service, count: int) -> None:
    for i in range(count):
        service.database.write(
            lambda c, i=i: audit.record(  # type: ignore[misc]
                c, Change.KEY_REVOKED, by=f"cli:user{i}", now=service.now(), subject=f"k{i}"
            )
        )


def subjects(answer: Any) -> list[str]:
    return [item["subject"] for item in answer.json["items"]]


def test_a_replay_by_a_key_is_told_with_the_keys_name(operator: Caller, past: Past) -> None:
    attempt_id = past.attempt(State.DEAD)
    operator.post(f"/v1/attempts/{attempt_id}/replay")

    entry = operator.get("/v1/audit").json["items"][0]  # type: ignore[index]

    assert entry["at"].startswith("2026-11-23T12:00:00")
    assert entry["by"] == f"key:{operator.key.split('_')[1]} operator of a test"
    assert (entry["change"], entry["subject"]) == ("attempt.replayed", attempt_id)
    assert entry["customerId"] == "customer-1"
    assert entry["details"] == {"challengeId": 11664, "was": "dead"}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.BACKEND])
def test_it_is_for_operators_and_admins(call_as: Any, role: Role) -> None:
    assert problem(call_as(role).get("/v1/audit")) == (403, "forbidden")


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN])
def test_operators_and_admins_may_read_it(call_as: Any, role: Role) -> None:
    assert call_as(role).get("/v1/audit").status_code == 200


def test_pages_follow_one_another_though_more_is_added(service: Service, operator: Caller) -> None:
    noted(service, 5)
    first = operator.get("/v1/audit", limit=2, by="cli:")
    noted(service, 1)

    second = operator.get("/v1/audit", limit=2, by="cli:", cursor=first.json["nextCursor"])  # type: ignore[index]
    third = operator.get("/v1/audit", limit=2, by="cli:", cursor=second.json["nextCursor"])  # type: ignore[index]

    assert [subjects(page) for page in (first, second, third)] == [
        ["k4", "k3"],
        ["k2", "k1"],
        ["k0"],
    ]
    assert third.json["nextCursor"] is None  # type: ignore[index]


QUERIES: dict[str, tuple[dict[str, str], list[str]]] = {
    "by": ({"by": "cli:user1"}, ["k1"]),
    "change": ({"change": "key.revoked,attempt.replayed"}, ["k2", "k1", "k0"]),
    "subject": ({"subject": "k2"}, ["k2"]),
    "customerId": ({"customerId": "customer-1"}, []),
    "from": ({"from": "2026-11-23T13:00:00Z"}, []),
    "to": ({"to": "2026-11-23T11:00:00Z"}, []),
}


@pytest.mark.parametrize("name", QUERIES)
def test_every_filter_is_a_filter_of_the_search(
    service: Service, operator: Caller, name: str
) -> None:
    noted(service, 3)
    query, expected = QUERIES[name]

    assert subjects(operator.get("/v1/audit", **query)) == expected


@on_sqlite
@pytest.mark.parametrize(
    "query",
    [
        {"change": "nothing"},
        {"cursor": "junk"},
        {"cursor": cursor_after(1)[:-1]},
        {"cursor": "_" * 11},
        {"limit": "0"},
        {"from": "yesterday"},
        {"unknown": "x"},
        {"by": ""},
        {"subject": "\x00"},
    ],
)
def test_a_query_that_cannot_be_is_refused(operator: Caller, query: dict[str, str]) -> None:
    assert problem(operator.get("/v1/audit", **query)) == (400, "invalid")


def test_a_bulk_job_is_found_by_its_id(operator: Caller, past: Past) -> None:
    past.attempts(2, state=State.DEAD)
    job = operator.post("/v1/attempts/replay", {"all": True}).json
    assert job is not None

    found = operator.get("/v1/audit", subject=job["id"]).json["items"]  # type: ignore[index]

    assert [entry["change"] for entry in found] == ["bulk.ended", "bulk.started"]
    assert found[0]["details"] == {"act": "replay", "done": 2, "skipped": 0}
