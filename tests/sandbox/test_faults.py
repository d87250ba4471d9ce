"""What each fault answers, and whether the achievement has landed by then."""

import pytest

from app.sandbox.books import Books
from app.sandbox.calls import ENDPOINT_NAMES
from app.sandbox.endpoints import ENDPOINTS
from app.sandbox.faults import Fault
from app.sandbox.scripts import SCRIPTS
from tests.sandbox.conftest import Caller, Clock

NOT_LANDED = {
    *("timeout-before", "reset-before", "http-500", "http-503-html", "html-200", "redirect"),
    *("rate-limit", "unauthorized", "forbidden", "concurrent", "gameball-disabled-422", "answer"),
}


def fault_of(kind: str, **more: object) -> Fault:
    status = 418 if kind.startswith("answer") else None
    return Fault(kind=kind, status=status, seconds=0.0, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_fault_has_landed_or_not_exactly_as_its_kind_says(
    caller: Caller, books: Books, clock: Clock, kind: str
) -> None:
    has_landed = kind not in NOT_LANDED
    books.faults.add(fault_of(kind))

    caller.achieve()

    call = books.calls()[0]
    assert (call.fault, call.has_landed) == (kind, has_landed)
    assert books.report().accepted == has_landed
    clock.advance(1)
    assert len(books.grants()) == has_landed
    assert caller.achieve().status_code == (400 if has_landed else 202)


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("http-500", 500, 5000),
        ("http-500-after", 500, 5000),
        ("rate-limit", 429, 429),
        ("unauthorized", 401, 1000),
        ("forbidden", 403, 1002),
        ("concurrent", 422, 2001),
        ("gameball-disabled-422", 422, 6000),
    ],
)
def test_a_refusal_on_demand_comes_in_the_envelope(
    caller: Caller, books: Books, kind: str, status: int, code: int
) -> None:
    books.faults.add(Fault(kind=kind))

    answer = caller.achieve()

    assert (answer.status_code, answer.get_json()["code"]) == (status, code)
    assert answer.get_json()["requestId"] == books.calls()[0].request_id
    assert (books.calls()[0].status, books.calls()[0].code) == (status, code)


@pytest.mark.parametrize(("kind", "status"), [("http-503-html", 503), ("html-200", 200)])
def test_a_gateway_answers_in_html(caller: Caller, books: Books, kind: str, status: int) -> None:
    books.faults.add(Fault(kind=kind))

    answer = caller.achieve()

    assert (answer.status_code, answer.mimetype) == (status, "text/html")


def test_a_broken_202_says_json_and_is_none(caller: Caller, books: Books) -> None:
    books.faults.add(Fault(kind="bad-json-202-after"))

    answer = caller.achieve()

    assert (answer.status_code, answer.mimetype) == (202, "application/json")
    with pytest.raises(ValueError, match="Unterminated"):
        answer.json  # noqa: B018


def test_a_redirect_leads_elsewhere(caller: Caller, books: Books) -> None:
    books.faults.add(Fault(kind="redirect"))

    answer = caller.achieve()

    assert (answer.status_code, answer.headers["Location"]) == (302, "/maintenance")


def test_a_rate_limit_may_say_when_to_come_back(caller: Caller, books: Books) -> None:
    books.faults.add(
        Fault(kind="rate-limit"),
        Fault(kind="rate-limit", seconds=2.5),
        Fault(kind="rate-limit", headers={"Retry-After": "Thu, 01 Jan 2026 00:00:09 GMT"}),
    )

    said = [caller.achieve().headers.get("Retry-After") for _ in range(3)]

    assert said == [None, "3", "Thu, 01 Jan 2026 00:00:09 GMT"]
    assert books.report().rate_limited == 3


def test_any_answer_can_be_asked_for_word_for_word(caller: Caller, books: Books) -> None:
    body = {"code": 8000, "message": "feature unavailable"}
    books.faults.add(Fault(kind="answer", status=403, body=body, headers={"X-Edge": "1"}))

    answer = caller.achieve()

    assert (answer.status_code, answer.get_json(), answer.headers["X-Edge"]) == (403, body, "1")
    assert books.calls()[0].code == 8000


@pytest.mark.parametrize("body", [None, "", "out of order"])
def test_an_answer_may_be_plain_text_or_nothing(
    caller: Caller, books: Books, body: str | None
) -> None:
    books.faults.add(Fault(kind="answer", status=502, body=body))

    answer = caller.achieve()

    assert (answer.status_code, answer.text) == (502, body or "")


def test_slow_is_slow_and_nothing_else(caller: Caller, books: Books) -> None:
    books.faults.add(Fault(kind="slow", seconds=4))

    assert caller.achieve().status_code == 202
    assert caller.pauses == [4]


def test_a_processed_fault_still_refuses_what_is_wrong(caller: Caller, books: Books) -> None:
    books.faults.add(Fault(kind="reset-after"))

    caller.achieve("missing-1")

    assert not books.calls()[0].has_landed
    assert books.report().accepted == 0


def test_a_fault_strikes_once_unless_told_otherwise(caller: Caller, books: Books) -> None:
    books.faults.add(Fault(kind="http-500"))

    assert [caller.achieve(f"c{n}").status_code for n in range(2)] == [500, 202]


def test_faults_strike_in_the_order_they_were_armed(caller: Caller, books: Books) -> None:
    books.faults.add(Fault(kind="http-500", count=2), Fault(kind="forbidden"))

    statuses = [caller.achieve(f"c{n}").status_code for n in range(4)]

    assert statuses == [500, 500, 403, 202]
    assert books.faults.listed() == []


def test_a_probable_fault_strikes_its_share_until_cleared(caller: Caller, books: Books) -> None:
    books.faults.add(Fault(kind="http-500", path="progress", probability=0.5))

    path = "customers/ann/reward-campaigns-progress"
    statuses = [caller.get(path).status_code for _ in range(100)]
    books.faults.clear()

    assert 30 <= statuses.count(500) <= 70
    assert caller.get("customers/bob/activities").status_code == 429
    assert books.faults.listed() == []


def test_a_probable_fault_may_be_counted_too(books: Books) -> None:
    books.faults.add(Fault(kind="http-500", probability=1.0, count=2))

    assert [books.faults.draw("progress") is not None for _ in range(3)] == [True, True, False]


def test_a_fault_keeps_to_its_path_and_its_customer(caller: Caller, books: Books) -> None:
    books.faults.add(
        Fault(kind="forbidden", path="transactions"), Fault(kind="http-500", customer_id="bob")
    )

    assert caller.achieve("ann").status_code == 202
    assert caller.achieve("bob").status_code == 500
    assert caller.get("transactions").status_code == 403


def test_a_call_over_the_limit_uses_up_no_fault(caller: Caller, books: Books) -> None:
    for number in range(30):
        caller.achieve(f"c{number}")
    books.faults.add(Fault(kind="http-500"))

    assert caller.achieve("ann").status_code == 429
    assert len(books.faults.listed()) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "meteor"},
        {"kind": "http-500", "path": "social_challenges"},
        {"kind": "http-500", "count": 0},
        {"kind": "slow", "seconds": -1},
        {"kind": "slow", "status": 500},
        {"kind": "answer"},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"unknown|status|applies"):
        Fault(**wrong)  # type: ignore[arg-type]


def test_every_endpoint_can_be_named_by_a_fault() -> None:
    assert {endpoint.name for endpoint in ENDPOINTS} == set(ENDPOINT_NAMES)
