"""Every row of the achieve-social-challenge contract."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sandbox.books import Books
from app.sandbox.web import create_sandbox
from tests.sandbox.conftest import KEYS, SOCIAL, Caller, Clock


def test_an_achievement_is_accepted_with_an_echo_and_nothing_else(caller: Caller) -> None:
    answer = caller.achieve("ann", 11664, email="ann@example.com", mobile="+1234567890")

    assert answer.status_code == 202
    assert answer.get_json() == {"customerId": "ann", "challengeId": 11664}


def test_both_versions_answer_alike(caller: Caller) -> None:
    path = SOCIAL.replace("v4.0", "v4.1")

    answer = caller.client.post(path, json={"customerId": "a", "challengeId": 1}, headers=KEYS)

    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("payload", "status", "code", "message"),
    [
        ({"challengeId": 7}, 400, 3000, "customer id is missing"),
        ({"customerId": None, "challengeId": 7}, 400, 3000, "customer id is missing"),
        ({"customerId": "", "challengeId": 7}, 400, 3000, "customer id is missing"),
        ({}, 400, 3000, "customer id is missing"),
        ({"customerId": "ann"}, 400, 3000, "rewards campaign handle is missing"),
        ({"customerId": "a" * 101, "challengeId": 7}, 422, 3003, "invalid customerid value."),
        ({"customerId": 12, "challengeId": 7}, 422, 3003, "invalid customerid value."),
        ({"customerId": "ann", "challengeId": 0}, 422, 3003, "invalid challengeid value."),
        ({"customerId": "ann", "challengeId": -1}, 422, 3003, "invalid challengeid value."),
        ({"customerId": "ann", "challengeId": "7"}, 422, 3003, "invalid challengeid value."),
        ({"customerId": "ann", "challengeId": 7.0}, 422, 3003, "invalid challengeid value."),
        ({"customerId": "ann", "challengeId": True}, 422, 3003, "invalid challengeid value."),
        ({"customerId": "a", "challengeId": 7, "email": 1}, 422, 3003, "invalid email value."),
        ({"customerId": "a", "challengeId": 7, "mobile": []}, 422, 3003, "invalid mobile value."),
        ([], 400, 3016, "invalid payload"),
        ({"customerId": "missing-1", "challengeId": 7}, 404, 4004, "customer does not exist"),
    ],
)
def test_what_is_wrong_with_a_request_is_said_in_gameballs_words(
    caller: Caller, payload: object, status: int, code: int, message: str
) -> None:
    answer = caller.post("customers/social-challenges", payload)

    assert answer.status_code == status
    assert (answer.get_json()["code"], answer.get_json()["message"]) == (code, message)


def test_a_hundred_characters_are_not_too_many(caller: Caller) -> None:
    assert caller.achieve("a" * 100).status_code == 202


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'"text"', b"9" * 5000])
def test_malformed_json_is_an_invalid_payload(caller: Caller, body: bytes) -> None:
    answer = caller.client.post(SOCIAL, data=body, headers=KEYS, content_type="application/json")

    assert answer.status_code == 400
    assert answer.get_json()["code"] == 3016


def test_another_media_type_is_not_supported(caller: Caller) -> None:
    answer = caller.client.post(SOCIAL, data="{}", headers=KEYS, content_type="text/plain")

    assert answer.status_code == 415
    assert answer.get_json()["code"] == 3013


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(body: bytes) -> None:
    client = create_sandbox(Books()).test_client()

    answer = client.post(SOCIAL, data=body, headers=KEYS, content_type="application/json")

    assert 400 <= answer.status_code < 500


@given(st.dictionaries(st.sampled_from(["customerId", "challengeId", "email"]), st.just(None)))
def test_nulls_are_missing_not_fatal(payload: dict[str, None]) -> None:
    client = create_sandbox(Books()).test_client()

    assert client.post(SOCIAL, json=payload, headers=KEYS).status_code == 400


def test_a_refusal_comes_in_the_documented_envelope(caller: Caller, books: Books) -> None:
    envelope = caller.achieve("missing-1").get_json()

    assert sorted(envelope) == ["code", "documentationUrl", "message", "requestId", "type"]
    assert envelope["type"] == "GENERAL_ERROR"
    assert envelope["requestId"] == books.calls()[0].request_id


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({}, 1000),
        ({"secretkey": KEYS["secretkey"]}, 1000),
        ({**KEYS, "apikey": "wrong"}, 1000),
        ({"apikey": KEYS["apikey"]}, 1006),
        ({**KEYS, "secretkey": "wrong"}, 1006),
    ],
)
def test_without_both_keys_it_is_unauthorized(
    caller: Caller, keys: dict[str, str], code: int
) -> None:
    caller.keys = keys

    answer = caller.achieve()

    assert answer.status_code == 401
    assert answer.get_json()["code"] == code
    assert answer.get_json()["type"] == "AUTHENTICATION_ERROR"


def test_the_same_achievement_inside_the_window_is_refused(caller: Caller, clock: Clock) -> None:
    caller.achieve()
    clock.advance(59.875)

    answer = caller.achieve()

    assert answer.status_code == 400
    assert answer.get_json()["code"] == 4000
    assert answer.get_json()["message"] == "can't send this action multiple times"


def test_the_window_ends_to_the_moment(caller: Caller, clock: Clock) -> None:
    caller.achieve()
    clock.advance(60)

    assert caller.achieve().status_code == 202


def test_a_refused_echo_does_not_prolong_the_window(caller: Caller, clock: Clock) -> None:
    caller.achieve()
    clock.advance(40)
    caller.achieve()
    clock.advance(20)

    assert caller.achieve().status_code == 202


def test_the_window_is_of_one_customer_and_one_challenge(caller: Caller) -> None:
    caller.achieve("ann", 7)

    assert caller.achieve("ann", 8).status_code == 202
    assert caller.achieve("bob", 7).status_code == 202


def test_both_versions_share_the_window(caller: Caller) -> None:
    caller.achieve("ann", 7)
    path = SOCIAL.replace("v4.0", "v4.1")

    answer = caller.client.post(path, json={"customerId": "ann", "challengeId": 7}, headers=KEYS)

    assert answer.get_json()["code"] == 4000


def test_what_was_refused_opens_no_window(caller: Caller, books: Books) -> None:
    caller.achieve("missing-1")
    caller.post("customers", {"customerId": "missing-1"})

    assert caller.achieve("missing-1").status_code == 202


def test_a_disabled_program_accepts_and_says_so(caller: Caller, books: Books) -> None:
    books.configure(gameball_status="Disabled")

    answer = caller.achieve("ann", 7)

    assert answer.status_code == 202
    assert sorted(answer.get_json()) == [
        *("challengeId", "customerId", "gameballStatus", "learnMore", "message")
    ]
    assert answer.get_json()["gameballStatus"] == "Disabled"


def test_the_thirty_first_call_in_a_second_is_too_many(caller: Caller, clock: Clock) -> None:
    statuses = [caller.achieve(f"c{number}").status_code for number in range(31)]

    assert statuses == [202] * 30 + [429]
    clock.advance(1)
    assert caller.achieve("c30").status_code == 202


def test_the_361st_call_in_thirty_seconds_is_too_many(caller: Caller, clock: Clock) -> None:
    statuses = []
    for number in range(361):
        statuses.append(caller.achieve(f"c{number}").status_code)
        clock.advance(0.0625)

    assert statuses == [202] * 360 + [429]


def test_a_refused_call_takes_no_place_in_the_window(caller: Caller, clock: Clock) -> None:
    for number in range(30):
        caller.achieve(f"c{number}")
    clock.advance(0.5)
    for number in range(30):
        caller.achieve(f"d{number}")
    clock.advance(0.5)

    statuses = [caller.achieve(f"e{number}").status_code for number in range(30)]

    assert statuses == [202] * 30


def test_bad_keys_count_in_the_window_too(caller: Caller) -> None:
    caller.keys = {}

    statuses = [caller.achieve().status_code for _ in range(31)]

    assert statuses == [401] * 30 + [429]


def test_a_call_that_was_too_fast_has_not_landed(caller: Caller, books: Books) -> None:
    for number in range(31):
        caller.achieve(f"c{number}")

    assert books.report().accepted == 30
    assert books.calls(1)[0].status == 429
    assert not books.calls(1)[0].has_landed
