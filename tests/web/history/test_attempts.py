"""Does the HTTP side of the history answer as promised?"""

import json
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert
from werkzeug.test import TestResponse

from app.domain.answers import Answer, Outcome
from app.domain.attempts import CANCELLABLE, REPLAYABLE, State
from app.schemas.filters import cursor_after
from app.service import Service
from app.steps import history, keys
from app.steps.identities import Identity, link
from app.steps.keys import Role
from app.steps.ledger import Award, enter
from app.storage.tables import BarRow
from tests.conftest import on_sqlite
from tests.web.history.conftest import NOW, Caller, Past
from tests.web.history.test_history import CRITERIA, receive_follow, submit

CallAs = Callable[[Role], Caller]
NO_ATTEMPT = "01a20846-fe00-7673-add3-699c3cdd6958"

READS = (
    "/v1/attempts",
    f"/v1/attempts/{NO_ATTEMPT}",
    "/v1/attempts/export?format=csv",
    "/v1/stats",
    "/v1/sources",
)
WRITES = (
    f"/v1/attempts/{NO_ATTEMPT}/replay",
    f"/v1/attempts/{NO_ATTEMPT}/cancel",
    "/v1/attempts/replay",
)


def ids(answer: TestResponse) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json["items"]]  # type: ignore[index]


def problem(answer: TestResponse) -> tuple[int, str]:
    """An answer's status and the kind of problem it is, which must be well formed."""
    assert answer.content_type == "application/problem+json"
    body = json.loads(answer.text)
    assert body["status"] == answer.status_code
    assert body["title"]
    assert body["detail"]
    return answer.status_code, body["type"].removeprefix("/docs#")


# Who may


@on_sqlite
@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize(
    ("role", "may"),
    [(Role.BACKEND, False), *((r, True) for r in (Role.VIEWER, Role.OPERATOR, Role.ADMIN))],
)
def test_history_is_read_by_viewers_and_those_above(
    call_as: CallAs, path: str, role: Role, may: bool
) -> None:
    answer = call_as(role).get(path)

    assert (answer.status_code == 403) is not may
    if not may:
        assert problem(answer) == (403, "forbidden")


@on_sqlite
@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize(
    ("role", "may"),
    [(Role.BACKEND, False), (Role.VIEWER, False), (Role.OPERATOR, True), (Role.ADMIN, True)],
)
def test_attempts_are_changed_by_operators_and_those_above(
    call_as: CallAs, path: str, role: Role, may: bool
) -> None:
    answer = call_as(role).post(path, {"dryRun": True, "all": True})

    assert (answer.status_code == 403) is not may


@on_sqlite
@pytest.mark.parametrize("key", ["", "junk", "vouch_000000000000_x", "ünï", "a b"])
@pytest.mark.parametrize("path", READS)
def test_nobody_reads_without_a_key_of_ours(
    service: Service, call_as: CallAs, path: str, key: str
) -> None:
    caller = call_as(Role.ADMIN)
    caller.key = key

    answer = caller.get(path)

    assert problem(answer) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_revoked_key_is_refused_at_once(service: Service, viewer: Caller) -> None:
    assert viewer.get("/v1/attempts").status_code == 200

    service.database.write(lambda c: keys.revoke(c, viewer.key.split("_")[1], NOW))

    assert problem(viewer.get("/v1/attempts")) == (401, "unauthenticated")


# The list


def test_a_line_of_the_history_says_all_that_a_list_needs(operator: Caller, past: Past) -> None:
    attempt_id = past.attempt(
        email="jane@example.com", mobile="+20100", claimed='{"handle": "jane"}', reason="earned"
    )

    (line,) = operator.get("/v1/attempts").json["items"]  # type: ignore[index]

    made = line["createdAt"]
    assert made.endswith("Z")
    assert line == {
        "id": attempt_id,
        "state": "due",
        "reason": "earned",
        "customerId": "customer-1",
        "challengeId": 11664,
        "source": "twitch",
        "platform": "twitch",
        "action": "follow",
        "accountId": "account-1",
        "target": "1337",
        "evidence": "signed",
        "occurrence": line["occurrence"],
        "createdAt": made,
        "updatedAt": made,
        "nextAt": made,
        "undoneAt": None,
        "erasedAt": None,
        "eventId": None,
        "claimed": {"handle": "jane"},
        "inFlight": False,
        "grantedPoints": None,
        "grantedCoupon": None,
    }


def test_an_attempt_whose_submission_runs_is_in_flight(viewer: Caller, past: Past) -> None:
    past.attempt(lease_until=NOW + timedelta(minutes=1))

    (line,) = viewer.get("/v1/attempts").json["items"]  # type: ignore[index]

    assert line["inFlight"] is True


QUERIES: dict[str, dict[str, str]] = {
    "customer": {"customerId": "other"},
    "challenge": {"challengeId": "7"},
    "source": {"source": "twitch-eu"},
    "platform": {"platform": "x"},
    "action": {"action": "cheer"},
    "state": {"state": "dead"},
    "evidence": {"evidence": "claimed"},
    "account": {"accountId": "elsewhere"},
    "from": {"from": "2026-11-24T12:00:00Z"},
    "to": {"to": "2026-11-23T14:00:00+03:00"},
    "q": {"q": " sought"},
    "undone": {"undone": "true"},
}


@pytest.mark.parametrize("name", CRITERIA)
def test_every_filter_of_the_query_is_a_filter_of_the_search(
    viewer: Caller, past: Past, name: str
) -> None:
    past.attempt()
    wanted = past.attempt(**CRITERIA[name][0])

    assert ids(viewer.get("/v1/attempts", **QUERIES[name])) == [wanted]


def test_several_states_stand_with_commas_between(viewer: Caller, past: Past) -> None:
    dead, _, held = (past.attempt(state) for state in (State.DEAD, State.DUE, State.HELD))

    assert ids(viewer.get("/v1/attempts", state="dead,held")) == [held, dead]


def test_the_last_page_has_no_cursor(viewer: Caller, past: Past) -> None:
    past.attempts(3)

    assert viewer.get("/v1/attempts", limit=3).json["nextCursor"] is None  # type: ignore[index]
    assert viewer.get("/v1/attempts", limit=2).json["nextCursor"]  # type: ignore[index]


def test_a_page_has_fifty_attempts_and_two_hundred_at_most(viewer: Caller, past: Past) -> None:
    past.attempts(201)

    assert len(ids(viewer.get("/v1/attempts"))) == 50
    assert len(ids(viewer.get("/v1/attempts", limit=200))) == 200


def test_answers_are_not_to_be_stored(viewer: Caller) -> None:
    assert viewer.get("/v1/attempts").headers["Cache-Control"] == "no-store"


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    count=st.integers(0, 12),
    limit=st.integers(1, 5),
    arrivals=st.lists(st.integers(0, 3), max_size=8),
    seed=st.integers(),
)
def test_pages_show_each_attempt_once_while_new_ones_arrive(
    service: Service,
    viewer: Caller,
    past: Past,
    count: int,
    limit: int,
    arrivals: list[int],
    seed: int,
) -> None:
    """Some are of one instant, whose order is chance, and some that arrive are of that past."""
    customer = f"customer-{uuid4().hex}"
    chance = random.Random(seed)
    at = service.now()
    made = [
        past.attempt(
            customer_id=customer, created_at=at + timedelta(milliseconds=chance.randrange(3))
        )
        for _ in range(count)
    ]
    coming = iter(arrivals)

    shown: list[str] = []
    query: dict[str, Any] = {"customerId": customer, "limit": limit}
    while True:
        page = viewer.get("/v1/attempts", **query)
        shown += ids(page)
        past.attempts(next(coming, 0), customer_id=customer)
        query["cursor"] = page.json["nextCursor"]  # type: ignore[index]
        if query["cursor"] is None:
            break

    assert [one for one in shown if one in made] == sorted(made, reverse=True)
    assert shown == sorted(set(shown), reverse=True)


JUNK_CURSORS = (
    "junk",
    "0",
    "=",
    "AAAA",
    "A" * 21 + "B",
    "A" * 23,
    "A" * 101,
    "ünï",
    " ",
    "../../etc/passwd",
    "' OR 1=1",
    NO_ATTEMPT,
    cursor_after(NO_ATTEMPT) + "=",
    cursor_after(NO_ATTEMPT) + " ",
)


@on_sqlite
@pytest.mark.parametrize("cursor", JUNK_CURSORS)
def test_a_cursor_that_we_did_not_give_is_refused(viewer: Caller, cursor: str) -> None:
    answer = viewer.get("/v1/attempts", cursor=cursor)

    assert problem(answer) == (400, "invalid")
    assert json.loads(answer.text)["errors"][0]["field"] == "cursor"


@on_sqlite
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    query=st.dictionaries(
        st.sampled_from([*(n for q in QUERIES.values() for n in q), "limit", "cursor"]),
        st.text(max_size=30),
        min_size=1,
        max_size=4,
    )
)
def test_no_query_makes_a_fault(viewer: Caller, query: dict[str, str]) -> None:
    assert viewer.get("/v1/attempts", **query).status_code in (200, 400)


@on_sqlite
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "201"),
        ("limit", "-1"),
        ("limit", "ten"),
        ("limit", ""),
        ("limit", "1e1"),
        ("from", "yesterday"),
        ("from", "1700000000"),
        ("from", "2026-13-01"),
        ("from", "2026-11-23T12:00:00 00:00"),  # a + that was not written %2B
        ("from", "0001-01-01T00:00:00+23:59"),
        ("to", "9999-12-31T23:59:59-23:59"),
        ("to", "1969-12-31"),
        ("to", ""),
        ("state", "asleep"),
        ("state", ""),
        ("state", "due,,dead"),
        ("state", "due, dead"),
        ("evidence", "hearsay"),
        ("challengeId", "x"),
        ("challengeId", "0"),
        ("challengeId", "99999999999999999999"),
        ("customerId", ""),
        ("customerId", "x" * 101),
        ("customerId", "a\x00b"),
        ("accountId", "a\nb"),
        ("challengeId", "1_0"),
        ("challengeId", "7.0"),
        ("challengeId", "\N{ARABIC-INDIC DIGIT SEVEN}"),
        ("limit", "1_0"),
        ("q", " "),
        ("source", "No Source"),
        ("platform", "%"),
        ("action", "DROP"),
        ("q", ""),
        ("q", "x" * 256),
        ("q", "a\x00"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_name(
    viewer: Caller, name: str, value: str
) -> None:
    answer = viewer.get("/v1/attempts", **{name: value})

    assert problem(answer) == (400, "invalid")
    assert json.loads(answer.text)["errors"][0]["field"].split(".")[0] == name


@on_sqlite
@pytest.mark.parametrize(
    "name", ["customer", "customer_id", "from_at", "fromAt", "wanted", "sort", "email"]
)
def test_a_name_that_we_do_not_know_is_refused(viewer: Caller, name: str) -> None:
    answer = viewer.get("/v1/attempts", **{name: "x"})

    assert problem(answer) == (400, "invalid")
    assert json.loads(answer.text)["errors"][0]["field"] == name


def test_a_name_given_twice_is_refused(viewer: Caller) -> None:
    answer = viewer.get("/v1/attempts?source=twitch&source=twitch")

    assert problem(answer) == (400, "malformed")


@pytest.mark.parametrize(
    "query", ["state=due&state=dead", "state=due,dead", "state=due,dead&state=due"]
)
def test_several_states_are_repeated_or_separated_by_commas(
    viewer: Caller, past: Past, query: str
) -> None:
    wanted = {past.attempt(State.DUE), past.attempt(State.DEAD)}
    past.attempt(State.GRANTED)

    assert set(ids(viewer.get(f"/v1/attempts?{query}"))) == wanted


@pytest.mark.parametrize("query", ["state=", "state=due&state=", "state=due,", "state=due&state=x"])
def test_a_list_with_a_value_that_is_none_is_refused(viewer: Caller, query: str) -> None:
    assert problem(viewer.get(f"/v1/attempts?{query}")) == (400, "invalid")


@on_sqlite
@pytest.mark.parametrize("query", ["accountId=%ff", "q=a%C3%28", "%ff=1"])
def test_a_query_that_is_not_utf_8_is_refused(viewer: Caller, query: str) -> None:
    answer = viewer.get(f"/v1/attempts?{query}")

    assert problem(answer) == (400, "malformed")


# One attempt


def test_one_attempt_is_shown_with_all_that_is_known(service: Service, operator: Caller) -> None:
    receive_follow(service, "jane", "jane_doe")
    identity = Identity(
        platform="twitch", account_id="jane", customer_id="customer-9", email="j@example.com"
    )
    service.database.write(lambda c: link(c, identity, "key:1 backend", service.now()))
    (attempt_id,) = ids(operator.get("/v1/attempts"))
    submit(
        service,
        attempt_id,
        Answer(
            outcome=Outcome.PERMANENT,
            status=400,
            code=4321,
            message="no such thing",
            request_id="r-1",
        ),
    )

    answer = operator.get(f"/v1/attempts/{attempt_id}")

    whole = json.loads(answer.text)
    assert whole["state"] == "dead"
    assert whole["event"]["actorHandle"] == "jane_doe"
    assert whole["event"]["payload"]["format"] == "json"
    assert whole["event"]["payload"]["content"]["event"]["user_id"] == "jane"
    assert [(t["fromState"], t["toState"], t["causedBy"]) for t in whole["timeline"]] == [
        (None, "unlinked", "source:twitch"),
        ("unlinked", "due", "key:1 backend"),
        ("due", "dead", "worker:permanent"),
    ]
    (submission,) = whole["submissions"]
    assert submission["outcome"] == "permanent"
    assert (submission["status"], submission["code"], submission["requestId"]) == (400, 4321, "r-1")
    assert (whole["hasEmail"], whole["hasMobile"]) == (True, False)
    assert "j@example.com" not in answer.text


def test_an_attempt_is_shown_as_it_was_at_one_moment(
    service: Service, operator: Caller, past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt_id = past.attempt(State.DUE)
    find = history.find

    def find_and_wait(connection: Connection, one: str) -> Any:
        found = find(connection, one)
        submit(service, attempt_id, Answer(outcome=Outcome.ACCEPTED, status=202))
        return found

    monkeypatch.setattr(history, "find", find_and_wait)

    whole = json.loads(operator.get(f"/v1/attempts/{attempt_id}").text)

    assert (whole["state"], whole["timeline"][-1]["toState"]) == ("due", "due")
    assert whole["submissions"] == []


def test_an_attempt_without_an_event_is_shown_too(viewer: Caller, past: Past) -> None:
    attempt_id = past.attempt(source=None)

    assert viewer.get(f"/v1/attempts/{attempt_id}").json["event"] is None  # type: ignore[index]


@pytest.mark.parametrize("attempt_id", [NO_ATTEMPT, "junk", "1", "%00", "x" * 500])
def test_what_is_no_attempt_is_not_found(viewer: Caller, attempt_id: str) -> None:
    assert problem(viewer.get(f"/v1/attempts/{attempt_id}")) == (404, "unknown")


# What a person may do


@on_sqlite
@pytest.mark.parametrize("state", State)
def test_what_has_no_hope_or_no_proof_of_a_reward_can_be_replayed(
    service: Service, operator: Caller, past: Past, state: State
) -> None:
    woken: list[None] = []
    service.wake_worker = lambda: woken.append(None)
    attempt_id = past.attempt(state)

    answer = operator.post(f"/v1/attempts/{attempt_id}/replay")

    if state not in REPLAYABLE:
        assert problem(answer) == (409, "state")
        assert state in json.loads(answer.text)["detail"]
        assert not woken
        return
    assert (answer.status_code, answer.json["state"]) == (200, "due")  # type: ignore[index]
    assert answer.json["nextAt"] is not None  # type: ignore[index]
    assert woken


@on_sqlite
@pytest.mark.parametrize("state", State)
def test_what_is_not_paid_can_be_cancelled(operator: Caller, past: Past, state: State) -> None:
    attempt_id = past.attempt(state)

    answer = operator.post(f"/v1/attempts/{attempt_id}/cancel")

    if state in CANCELLABLE:
        assert (answer.status_code, answer.json["state"]) == (200, "withdrawn")  # type: ignore[index]
    else:
        assert problem(answer) == (409, "state")


def test_an_attempt_remembers_who_replayed_it(operator: Caller, past: Past) -> None:
    attempt_id = past.attempt(State.DEAD)

    operator.post(f"/v1/attempts/{attempt_id}/replay")

    timeline = operator.get(f"/v1/attempts/{attempt_id}").json["timeline"]  # type: ignore[index]
    key_id = operator.key.split("_")[1]
    assert timeline[-1]["causedBy"] == f"key:{key_id} operator of a test"


def test_what_is_in_flight_is_not_cancelled(operator: Caller, past: Past) -> None:
    attempt_id = past.attempt(lease_until=NOW + timedelta(minutes=1))

    assert problem(operator.post(f"/v1/attempts/{attempt_id}/cancel")) == (409, "state")


def test_a_bar_is_shown_and_lifted(
    service: Service, operator: Caller, viewer: Caller, past: Past
) -> None:
    attempt_id = past.attempt(State.GRANTED, undone_at=NOW, bar_after_undo=True)
    row = {
        "challenge_id": 11664,
        "platform": "twitch",
        "account_hash": "a" * 22,
        "customer_hash": "b" * 22,
        "attempt_id": attempt_id,
        "created_at": NOW,
    }
    service.database.write(lambda c: c.execute(insert(BarRow), row))
    path = f"/v1/attempts/{attempt_id}"

    before = viewer.get(path).json["barring"]  # type: ignore[index]
    refused = viewer.post(f"{path}/lift-bar")
    lifted = operator.post(f"{path}/lift-bar")
    again = operator.post(f"{path}/lift-bar")

    assert before is True
    assert problem(refused) == (403, "forbidden")
    assert lifted.status_code == 200
    assert problem(again) == (409, "state")
    assert viewer.get(path).json["barring"] is False  # type: ignore[index]


def test_a_duplicate_says_which_attempt_holds_the_award(
    service: Service, viewer: Caller, past: Past
) -> None:
    holding = past.attempt(State.GRANTED)
    known = {"challenge_id": 11664, "customer_id": "ann", "platform": "twitch"}
    award = Award(attempt_id=holding, account_id=None, occurrence="once", **known)  # type: ignore[arg-type]
    service.database.write(lambda c: enter(c, [award], NOW))
    duplicate = past.attempt(State.DUPLICATE, occurrence="once", **known)

    shown = viewer.get(f"/v1/attempts/{duplicate}").json

    assert shown is not None
    assert shown["heldBy"] == {"attemptId": holding, "by": "customer"}
    assert viewer.get(f"/v1/attempts/{holding}").json["heldBy"] is None  # type: ignore[index]


@pytest.mark.parametrize("act", ["replay", "cancel", "lift-bar"])
def test_nothing_is_done_to_what_does_not_exist(operator: Caller, act: str) -> None:
    assert problem(operator.post(f"/v1/attempts/{NO_ATTEMPT}/{act}")) == (404, "unknown")
