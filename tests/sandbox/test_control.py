"""The control side: what it shows, what it changes, and what it refuses."""

import pytest

from app.sandbox.books import Books
from app.sandbox.faults import Fault
from app.sandbox.settings import Campaign, Limit
from tests.sandbox.conftest import Caller, Clock


def control(caller: Caller, method: str, path: str, document: object = None) -> tuple[int, object]:
    answer = caller.client.open(f"/_sandbox/{path}", method=method, json=document)
    return answer.status_code, answer.get_json()


def test_the_front_page_says_what_it_is(caller: Caller) -> None:
    assert caller.client.get("/").get_json()["name"] == "sandbox Gameball"


def test_the_books_show_who_was_granted_what_and_how_the_caller_behaved(
    caller: Caller, clock: Clock
) -> None:
    caller.achieve()
    caller.achieve()
    clock.advance(1)
    caller.achieve("bob")

    status, books = control(caller, "GET", "books")

    assert status == 200
    assert books == {
        "grants": [
            {
                "customerId": "ann",
                "challengeId": 7,
                "at": "2026-01-01T00:00:01.000Z",
                "acceptedAt": "2026-01-01T00:00:00.000Z",
                "points": 50,
                "coupon": None,
            }
        ],
        "counts": [{"customerId": "ann", "challengeId": 7, "count": 1}],
        "accepted": 2,
        "duplicates": 1,
        "rateLimited": 0,
        "pendingGrants": 1,
        "maxPerSecond": 2,
        "max30Seconds": 3,
        "concurrentPerCustomer": 1,
    }


def test_the_maxima_count_what_arrived_refused_or_not(caller: Caller, clock: Clock) -> None:
    for number in range(40):
        caller.achieve(f"c{number}")
        caller.get("customers/ann")
    clock.advance(20)
    caller.achieve()

    _, books = control(caller, "GET", "books")

    assert isinstance(books, dict)
    figures = {name: books[name] for name in ("maxPerSecond", "max30Seconds", "rateLimited")}
    assert figures == {"maxPerSecond": 40, "max30Seconds": 41, "rateLimited": 10}


def test_the_newest_calls_are_shown_first(caller: Caller, books: Books) -> None:
    caller.achieve("ann", 7)
    books.faults.add(Fault(kind="timeout-after", seconds=0))
    caller.achieve("bob", 8)

    _, shown = control(caller, "GET", "calls?limit=1")

    assert isinstance(shown, dict)
    (call,) = shown["calls"]
    assert call.pop("requestId")
    assert call == {
        "at": "2026-01-01T00:00:00.000Z",
        "endpoint": "social-challenges",
        "method": "POST",
        "path": "/api/v4.0/integrations/customers/social-challenges",
        "customerId": "bob",
        "challengeId": 8,
        "status": None,
        "code": None,
        "fault": "timeout-after",
        "landed": True,
    }


def test_reads_are_logged_with_whom_and_what_they_asked_for(caller: Caller, books: Books) -> None:
    caller.progress("ann", 7)
    caller.get("transactions", customerId="bob")

    assert [(call.customer_id, call.challenge_id) for call in books.calls()] == [
        ("bob", None),
        ("ann", 7),
    ]


def test_settings_change_one_by_one(caller: Caller, books: Books) -> None:
    status, shown = control(
        caller,
        "PUT",
        "settings",
        {
            "dedupWindowSeconds": 5,
            "gameballStatus": "Disabled",
            "limits": {"customersPost": {"perSecond": 2}},
            "knownCustomers": ["bob", "ann"],
            "inactiveCustomers": ["bob"],
            "campaigns": [{"id": 7, "points": 10, "maxAchievement": 1}],
            "otherCampaigns": False,
        },
    )

    settings = books.settings
    assert status == 200
    assert settings.dedup_window_seconds == 5
    assert settings.grant_delay_seconds == 1
    assert settings.gameball_status == "Disabled"
    assert settings.limit_of("customersPost") == Limit(2, 360)
    assert settings.limit_of("customersGet") == Limit(100, 1200)
    assert settings.known_customers == frozenset({"ann", "bob"})
    assert settings.campaign(7) == Campaign(id=7, points=10, max_achievement=1)
    assert settings.campaign(8) is None
    assert control(caller, "GET", "settings") == (200, shown)


def test_what_settings_show_can_be_put_back(caller: Caller, books: Books) -> None:
    books.configure(campaigns=(Campaign(id=7),), known_customers=frozenset({"ann"}))
    before = control(caller, "GET", "settings")

    assert control(caller, "PUT", "settings", before[1]) == before


def test_keys_rotate_at_once(caller: Caller) -> None:
    control(caller, "PUT", "settings", {"secretKey": "new-secret"})

    assert caller.achieve().status_code == 401
    caller.keys["secretkey"] = "new-secret"
    assert caller.achieve().status_code == 202


def test_a_lower_limit_holds_at_once(caller: Caller) -> None:
    control(caller, "PUT", "settings", {"limits": {"customersPost": {"perSecond": 1}}})

    assert [caller.achieve(f"c{n}").status_code for n in range(2)] == [202, 429]


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"speed": 1},
        {"dedupWindowSeconds": -1},
        {"dedupWindowSeconds": True},
        {"dedupWindowSeconds": "60"},
        {"apiKey": ""},
        {"apiKey": None},
        {"knownCustomers": "ann"},
        {"knownCustomers": [1]},
        {"limits": {"customersPut": {}}},
        {"limits": {"others": {"perSecond": 1.5}}},
        {"campaigns": {}},
        {"campaigns": [{"points": 1}]},
        {"campaigns": [{"id": 1, "isActive": "yes"}]},
    ],
)
def test_settings_that_make_no_sense_change_nothing(
    caller: Caller, books: Books, document: object
) -> None:
    before = books.settings

    status, problem = control(caller, "PUT", "settings", document)

    assert status == 400
    assert isinstance(problem, dict)
    assert problem["error"]
    assert books.settings == before


def test_every_mistake_in_the_settings_is_named(caller: Caller) -> None:
    _, problem = control(caller, "PUT", "settings", {"speed": 1, "apiKey": 5})

    assert isinstance(problem, dict)
    assert "speed: unknown" in problem["error"]
    assert "apiKey: expected text" in problem["error"]


def test_faults_are_armed_listed_and_cleared(caller: Caller) -> None:
    one = {"kind": "http-500", "path": "progress", "customerId": "ann"}
    another = {"kind": "slow", "seconds": 0.5, "probability": 0.1}
    rest = dict.fromkeys(["path", "customerId", "probability", "seconds", "status", "body"])

    control(caller, "POST", "faults", {**one, "count": 2})
    status, shown = control(caller, "POST", "faults", [another])

    assert status == 201
    assert shown == {
        "faults": [
            {**rest, "headers": {}, **one, "left": 2},
            {**rest, "headers": {}, **another, "left": None},
        ]
    }
    assert control(caller, "GET", "faults") == (200, shown)
    assert control(caller, "DELETE", "faults") == (200, {"faults": []})


def test_a_fault_from_json_strikes(caller: Caller) -> None:
    row = {"kind": "answer", "status": 423, "body": {"code": 3014}, "headers": {"X-A": "b"}}
    control(caller, "POST", "faults", row)

    answer = caller.achieve()

    assert (answer.status_code, answer.get_json(), answer.headers["X-A"]) == (
        423,
        {"code": 3014},
        "b",
    )


@pytest.mark.parametrize(
    "document",
    [
        "http-500",
        {},
        {"kind": "meteor"},
        {"kind": "http-500", "path": "nowhere"},
        {"kind": "http-500", "probability": 2},
        {"kind": "answer", "status": 99},
        {"kind": "http-500", "headers": {"X-A": "b\r\nX-C: d"}},
        {"kind": "http-500", "headers": []},
        [{"kind": "http-500"}, {"kind": "meteor"}],
    ],
)
def test_faults_that_make_no_sense_arm_nothing(
    caller: Caller, books: Books, document: object
) -> None:
    assert control(caller, "POST", "faults", document)[0] == 400
    assert books.faults.listed() == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_the_control_side_refuses_what_is_not_json(caller: Caller, body: bytes) -> None:
    assert caller.client.put("/_sandbox/settings", data=body).status_code == 400
    assert caller.client.post("/_sandbox/faults", data=body).status_code == 400


def test_the_control_side_is_neither_limited_nor_logged_nor_faulty(
    caller: Caller, books: Books
) -> None:
    books.faults.add(Fault(kind="http-500"))

    statuses = {control(caller, "GET", "books")[0] for _ in range(150)}

    assert statuses == {200}
    assert books.calls() == []
