"""May a person act on many attempts at once, and see how far it is?"""

import json
import time
from typing import Any

import pytest

from app.domain.attempts import CANCELLABLE, REPLAYABLE, State
from app.service import Service
from app.steps import bulk
from app.steps.keys import Role
from app.storage.errors import StorageUnavailable
from app.worker.chores import Chores
from tests.conftest import on_sqlite
from tests.web.history.conftest import Caller, Past
from tests.web.history.test_attempts import NO_ATTEMPT, ids, problem

ACTS = ("replay", "cancel")
ALLOWED = {"replay": REPLAYABLE, "cancel": CANCELLABLE}


def test_a_replay_by_filter_makes_those_due_that_allow_it(
    service: Service, operator: Caller, past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.steps.bulk.SLICE", 3)
    woken: list[None] = []
    service.wake_worker = lambda: woken.append(None)
    dead = past.attempts(7, state=State.DEAD)
    others = [past.attempt(State.GRANTED), past.attempt(State.DEAD, challenge_id=7)]

    answer = operator.post("/v1/attempts/replay", {"challengeId": 11664})

    assert answer.status_code == 202
    job = answer.json
    assert job is not None
    assert (job["matched"], job["visited"], job["done"], job["skipped"]) == (7, 7, 7, 0)
    assert (job["act"], job["progress"]) == ("replay", "ended")
    assert job["filter"]["challengeId"] == 11664
    assert set(job["filter"]["state"]) == set(REPLAYABLE)
    assert ids(operator.get("/v1/attempts", state="due")) == dead
    assert set(others).isdisjoint(dead)
    assert woken


def test_a_cancellation_by_filter_withdraws_those_that_allow_it(
    operator: Caller, past: Past
) -> None:
    waiting = past.attempts(2, state=State.UNLINKED)
    past.attempt(State.GRANTED)

    answer = operator.post("/v1/attempts/cancel", {"all": True})

    assert answer.json["done"] == 2  # type: ignore[index]
    assert ids(operator.get("/v1/attempts", state="withdrawn")) == waiting


@pytest.mark.parametrize("act", ACTS)
def test_a_dry_run_counts_and_changes_nothing(operator: Caller, past: Past, act: str) -> None:
    dead = past.attempts(3, state=State.DEAD)
    past.attempt(State.GRANTED)

    answer = operator.post(f"/v1/attempts/{act}", {"all": True, "dryRun": True})

    assert answer.status_code == 200
    assert answer.json == {"matched": 3, "byState": {"dead": 3}}
    assert ids(operator.get("/v1/attempts", state="dead")) == dead
    assert operator.get("/v1/bulk").json == {"items": []}


def test_what_was_paid_to_another_attempt_is_skipped(operator: Caller, past: Past) -> None:
    """Two dead attempts at one award: the ledger lets one of them be due."""
    for _ in range(2):
        past.attempt(State.DEAD, occurrence="once")

    job = operator.post("/v1/attempts/replay", {"state": "dead"}).json

    assert job is not None
    assert (job["matched"], job["done"], job["skipped"]) == (2, 1, 1)
    assert len(ids(operator.get("/v1/attempts", state="due"))) == 1


@pytest.mark.parametrize("act", ACTS)
def test_everything_must_be_said(operator: Caller, past: Past, act: str) -> None:
    past.attempt(State.DEAD)

    refused = operator.post(f"/v1/attempts/{act}", {})
    said = operator.post(f"/v1/attempts/{act}", {"all": True})

    assert problem(refused) == (422, "invalid")
    assert said.json["done"] == 1  # type: ignore[index]


@on_sqlite
@pytest.mark.parametrize(
    ("act", "state"), [(a, s) for a in ACTS for s in sorted(set(State) - ALLOWED[a])]
)
def test_a_state_that_does_not_allow_it_is_refused(
    operator: Caller, act: str, state: State
) -> None:
    answer = operator.post(f"/v1/attempts/{act}", {"state": f"dead,{state}"})

    assert problem(answer) == (422, "invalid")
    assert state in json.loads(answer.text)["errors"][0]["problem"]


@pytest.mark.parametrize("state", ["dead,unconfirmed", ["dead", "unconfirmed"]])
def test_states_in_a_body_are_a_list_or_have_commas_between(
    operator: Caller, past: Past, state: str | list[str]
) -> None:
    past.attempt(State.DEAD)
    past.attempt(State.UNCONFIRMED)
    past.attempt(State.NOT_GRANTED)

    answer = operator.post("/v1/attempts/replay", {"state": state, "dryRun": True})

    assert answer.json == {"matched": 2, "byState": {"dead": 1, "unconfirmed": 1}}


@on_sqlite
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dryRun", "yes"),
        ("all", 1),
        ("challengeId", "7"),
        ("state", "dead,gone"),
        ("state", ["dead", 7]),
        ("state", {"dead": 1}),
    ],
)
def test_what_a_body_only_seems_to_say_is_refused(
    operator: Caller, name: str, value: object
) -> None:
    answer = operator.post("/v1/attempts/replay", {"dryRun": True, "all": True, name: value})

    assert answer.status_code == 422
    assert json.loads(answer.text)["errors"][0]["field"].split(".")[0] == name


@on_sqlite
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(
    "body",
    [
        [],
        "all",
        {"all": "perhaps"},
        {"customer_id": "x"},
        {"dry_run": True},
        {"limit": 1, "all": True},
        {"from": 1_700_000_000},
        {"state": []},
        {"state": "nowhere"},
        {"customerId": ""},
    ],
)
def test_a_body_that_cannot_be_is_refused(operator: Caller, act: str, body: Any) -> None:
    assert problem(operator.post(f"/v1/attempts/{act}", body)) == (422, "invalid")


def test_a_body_that_is_no_json_is_refused(operator: Caller) -> None:
    headers = {"Authorization": f"Bearer {operator.key}"}
    path = "/v1/attempts/replay"

    form = operator.client.post(path, data={"all": "true"}, headers=headers)
    broken = operator.client.post(path, data="{", headers=headers, content_type="application/json")
    huge = operator.client.post(
        path, data="x" * 70_000, headers=headers, content_type="application/json"
    )

    assert problem(form) == (415, "media-type")
    assert problem(broken) == (400, "malformed")
    assert problem(huge) == (413, "too-large")


@on_sqlite
@pytest.mark.parametrize("role", [Role.VIEWER, Role.BACKEND])
@pytest.mark.parametrize(
    "path", ["/v1/attempts/replay", "/v1/attempts/cancel", f"/v1/bulk/{NO_ATTEMPT}/stop"]
)
def test_only_operators_may_act_on_many(call_as: Any, role: Role, path: str) -> None:
    assert problem(call_as(role).post(path, {"all": True})) == (403, "forbidden")


# Progress.


def unfinished(service: Service, past: Past, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """So many dead attempts, and no time to do more than one slice within a request."""
    monkeypatch.setattr("app.web.api.bulk.AT_ONCE_SECONDS", 0)
    monkeypatch.setattr("app.steps.bulk.SLICE", 2)
    past.attempts(count, state=State.DEAD)


def test_a_job_that_takes_longer_is_carried_on_and_shows_how_far_it_is(
    service: Service,
    operator: Caller,
    viewer: Caller,
    past: Past,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unfinished(service, past, monkeypatch, 7)

    begun = operator.post("/v1/attempts/replay", {"all": True}).json
    assert begun is not None
    shown = viewer.get(f"/v1/bulk/{begun['id']}").json
    # Whichever process comes by, also after a restart.
    Chores(service)._carry_on()
    ended = viewer.get(f"/v1/bulk/{begun['id']}").json

    assert shown == begun
    assert (begun["progress"], begun["visited"], begun["endedAt"]) == ("running", 2, None)
    assert ended is not None
    assert (ended["progress"], ended["visited"], ended["done"]) == ("ended", 7, 7)
    assert ended["by"].endswith("operator of a test")
    assert viewer.get("/v1/bulk").json == {"items": [ended]}


def test_whom_a_job_names_only_operators_see_and_only_until_it_is_over(
    service: Service,
    operator: Caller,
    viewer: Caller,
    past: Past,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unfinished(service, past, monkeypatch, 3)

    begun = operator.post("/v1/attempts/replay", {"customerId": "customer-1"}).json
    path = f"/v1/bulk/{begun['id']}"  # type: ignore[index]
    running = [one.get(path).json["filter"]["customerId"] for one in (operator, viewer)]  # type: ignore[index]
    Chores(service)._carry_on()
    ended = [one.get(path).json["filter"]["customerId"] for one in (operator, viewer)]  # type: ignore[index]

    assert running == ["customer-1", "(named)"]
    assert ended == ["(named)", "(named)"]


def test_a_job_can_be_stopped(
    service: Service, operator: Caller, past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfinished(service, past, monkeypatch, 7)
    begun = operator.post("/v1/attempts/replay", {"all": True}).json
    assert begun is not None

    stopped = operator.post(f"/v1/bulk/{begun['id']}/stop")
    Chores(service)._carry_on()

    assert stopped.json["progress"] == "stopped"  # type: ignore[index]
    assert len(ids(operator.get("/v1/attempts", state="due"))) == 2


def test_a_job_that_storage_interrupts_is_begun_all_the_same(
    service: Service, operator: Caller, past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    past.attempts(3, state=State.DEAD)

    def fail(*_: Any) -> bool:
        raise StorageUnavailable("gone for a moment")

    with monkeypatch.context() as patched:
        patched.setattr(bulk, "advance", fail)
        answer = operator.post("/v1/attempts/replay", {"all": True})
    Chores(service)._carry_on()

    assert answer.status_code == 202
    assert len(ids(operator.get("/v1/attempts", state="due"))) == 3


@pytest.mark.parametrize("method", ["get", "stop"])
def test_no_job_has_a_made_up_id(operator: Caller, method: str) -> None:
    path = f"/v1/bulk/{NO_ATTEMPT}"

    answer = operator.get(path) if method == "get" else operator.post(f"{path}/stop")

    assert problem(answer) == (404, "unknown")


def test_the_chores_carry_jobs_on_by_themselves(
    service: Service, operator: Caller, past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfinished(service, past, monkeypatch, 5)
    begun = operator.post("/v1/attempts/replay", {"all": True}).json
    assert begun is not None
    chores = Chores(service, every_seconds=0.01)

    chores.start()
    try:
        for _ in range(500):
            if operator.get(f"/v1/bulk/{begun['id']}").json["progress"] == "ended":  # type: ignore[index]
                break
            time.sleep(0.01)
    finally:
        chores.stop()

    assert len(ids(operator.get("/v1/attempts", state="due"))) == 5


def test_one_job_in_trouble_keeps_no_other_waiting(
    service: Service, operator: Caller, past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfinished(service, past, monkeypatch, 5)
    begun = [operator.post("/v1/attempts/replay", {"all": True}).json for _ in range(2)]
    first, second = (job["id"] for job in begun if job)
    real = bulk.advance

    def fail_for_the_first(connection: Any, job: str, *more: Any) -> bool:
        if job == first:
            raise ValueError("it cannot be done")
        return real(connection, job, *more)

    monkeypatch.setattr(bulk, "advance", fail_for_the_first)
    Chores(service)._carry_on()

    assert operator.get(f"/v1/bulk/{second}").json["progress"] == "ended"  # type: ignore[index]
