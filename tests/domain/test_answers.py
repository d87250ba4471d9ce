"""Is every answer of Gameball taken for what it is?"""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.answers import (
    TREATMENTS,
    Answer,
    Disposition,
    Outcome,
    Treatment,
    discreet,
    read_answer,
)
from app.domain.texts import is_written

HTML = b"<!doctype html><html><body>503 Service Unavailable</body></html>"
ECHO = "can't send this action multiple times"


def envelope(code: object, message: str = "something", **more: object) -> bytes:
    return json.dumps({"code": code, "type": "ANY", "message": message, **more}).encode()


ACCEPTED = json.dumps({"customerId": "ann", "challengeId": 7}).encode()
DISABLED = json.dumps(
    {"customerId": "ann", "challengeId": 7, "gameballStatus": "Disabled", "message": "off"}
).encode()


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        pytest.param(202, ACCEPTED, Outcome.ACCEPTED, id="202"),
        pytest.param(202, b"{}", Outcome.ACCEPTED, id="202 of few words"),
        pytest.param(202, DISABLED, Outcome.PROGRAM_DISABLED, id="202 while disabled"),
        pytest.param(202, b'{"gameballStatus": ""}', Outcome.ACCEPTED, id="202 with empty status"),
        # The social-challenges page's own rows.
        pytest.param(400, envelope(3000, "customer id is missing"), Outcome.PERMANENT, id="3000"),
        pytest.param(400, envelope(4000, ECHO), Outcome.ECHO, id="4000 multiple times"),
        pytest.param(401, envelope(1006, "missing the secret key."), Outcome.BLOCKED, id="1006"),
        pytest.param(404, envelope(4004, "no such customer"), Outcome.NO_CUSTOMER, id="4004"),
        pytest.param(500, envelope(5000, "generic error"), Outcome.UNKNOWN, id="500 in JSON"),
        # 4000 is the generic failure; the messages are labelled examples.
        pytest.param(400, envelope(4000, ECHO.upper()), Outcome.ECHO, id="4000 in capitals"),
        pytest.param(
            400,
            envelope(4000, "You can not send this action Multiple Times!"),
            Outcome.ECHO,
            id="4000 in other words",
        ),
        pytest.param(400, envelope("4000", ECHO), Outcome.ECHO, id="4000 as a string"),
        pytest.param(400, envelope(4000, "Failed"), Outcome.PERMANENT, id="4000 of another cause"),
        pytest.param(400, b'{"code": 4000}', Outcome.PERMANENT, id="4000 without a message"),
        pytest.param(
            400, b'{"code": 4000, "message": 5}', Outcome.PERMANENT, id="4000 with a junk message"
        ),
        pytest.param(400, envelope(3000, ECHO), Outcome.PERMANENT, id="the words, another code"),
        pytest.param(422, envelope(4000, ECHO), Outcome.PERMANENT, id="the words, another status"),
        # The code table.
        pytest.param(401, envelope(1000), Outcome.BLOCKED, id="1000"),
        pytest.param(401, envelope(1001), Outcome.BLOCKED, id="1001"),
        pytest.param(403, envelope(1002), Outcome.BLOCKED, id="1002"),
        pytest.param(403, envelope(8000), Outcome.BLOCKED, id="8000"),
        pytest.param(401, b"{}", Outcome.BLOCKED, id="401 without a code"),
        pytest.param(403, envelope(None), Outcome.BLOCKED, id="403 without a code"),
        pytest.param(412, envelope(2000), Outcome.PERMANENT, id="2000"),
        pytest.param(422, envelope(2001), Outcome.BUSY, id="2001"),
        pytest.param(422, envelope("2001"), Outcome.BUSY, id="2001 as a string"),
        pytest.param(400, envelope(2001), Outcome.BUSY, id="2001 as a 400"),
        pytest.param(400, envelope(3004), Outcome.PERMANENT, id="3004 not achieved"),
        pytest.param(422, envelope(3009), Outcome.PERMANENT, id="3009 inactive"),
        pytest.param(400, envelope(3016), Outcome.PERMANENT, id="3016 invalid payload"),
        pytest.param(422, envelope(6000), Outcome.BLOCKED, id="6000 disabled"),
        pytest.param(404, envelope(7000), Outcome.NO_CUSTOMER, id="7000"),
        pytest.param(404, envelope("7000"), Outcome.NO_CUSTOMER, id="7000 as a string"),
        pytest.param(404, envelope(3017), Outcome.PERMANENT, id="404 of something else"),
        pytest.param(418, envelope(99), Outcome.PERMANENT, id="an unknown 4xx"),
        pytest.param(429, envelope(429), Outcome.TOO_FAST, id="429 in JSON"),
        pytest.param(503, envelope(5003), Outcome.UNKNOWN, id="503 in JSON"),
        pytest.param(500, envelope(6000), Outcome.UNKNOWN, id="a 5xx is never a decision"),
        # What is not Gameball's JSON is a proxy's.
        pytest.param(429, HTML, Outcome.TOO_FAST, id="429 in HTML"),
        pytest.param(401, HTML, Outcome.BLOCKED, id="401 in HTML"),
        pytest.param(403, b"", Outcome.BLOCKED, id="403 without a body"),
        pytest.param(408, HTML, Outcome.UNKNOWN, id="408 in HTML"),
        pytest.param(408, envelope(0), Outcome.UNKNOWN, id="408 in JSON"),
        pytest.param(404, HTML, Outcome.UNKNOWN, id="404 in HTML"),
        pytest.param(400, HTML, Outcome.UNKNOWN, id="400 in HTML"),
        pytest.param(503, HTML, Outcome.UNKNOWN, id="503 in HTML"),
        pytest.param(502, b"", Outcome.UNKNOWN, id="502 without a body"),
        pytest.param(202, HTML, Outcome.UNKNOWN, id="202 in HTML"),
        pytest.param(202, b"", Outcome.UNKNOWN, id="202 without a body"),
        pytest.param(202, b"[]", Outcome.UNKNOWN, id="202 with a list"),
        pytest.param(202, b'{"customerId": "an', Outcome.UNKNOWN, id="202 cut off"),
        pytest.param(200, HTML, Outcome.UNKNOWN, id="200 in HTML"),
        pytest.param(200, ACCEPTED, Outcome.UNKNOWN, id="200 in JSON"),
        pytest.param(204, b"", Outcome.UNKNOWN, id="204"),
        pytest.param(301, b"", Outcome.UNKNOWN, id="301"),
        pytest.param(302, envelope(4004), Outcome.UNKNOWN, id="302 in JSON"),
        pytest.param(307, HTML, Outcome.UNKNOWN, id="307"),
        pytest.param(103, b"{}", Outcome.UNKNOWN, id="an early hint"),
    ],
)
def test_an_answer_means_what_the_table_says(status: int, body: bytes, outcome: Outcome) -> None:
    assert read_answer(status, body).outcome is outcome


@pytest.mark.parametrize(
    ("outcome", "treatment"),
    [
        (Outcome.ACCEPTED, Treatment(then=Disposition.ACCEPT)),
        (Outcome.PROGRAM_DISABLED, Treatment(then=Disposition.ACCEPT, pauses=True)),
        (Outcome.ECHO, Treatment(then=Disposition.RETRY, schedule="echo")),
        (
            Outcome.UNKNOWN,
            Treatment(then=Disposition.RETRY, schedule="retry", may_have_landed=True),
        ),
        (Outcome.NOT_SENT, Treatment(then=Disposition.RETRY, schedule="retry")),
        (Outcome.NO_CUSTOMER, Treatment(then=Disposition.RETRY, schedule="missing_customer")),
        (Outcome.BLOCKED, Treatment(then=Disposition.WAIT, pauses=True)),
        (Outcome.BUSY, Treatment(then=Disposition.RETRY, schedule="busy")),
        (Outcome.TOO_FAST, Treatment(then=Disposition.WAIT, slows=True)),
        (Outcome.PERMANENT, Treatment(then=Disposition.DIE)),
    ],
)
def test_an_outcome_is_treated_as_the_product_says(outcome: Outcome, treatment: Treatment) -> None:
    assert TREATMENTS[outcome] == treatment


def test_every_outcome_has_a_treatment() -> None:
    assert set(TREATMENTS) == set(Outcome)


def test_what_gameball_said_is_kept_for_the_history() -> None:
    body = envelope(4004, "customer does not exist", requestId="0HN5")

    answer = read_answer(404, body, retry_after_seconds=3)

    assert (answer.status, answer.code, answer.message, answer.request_id) == (
        *(404, 4004, "customer does not exist", "0HN5"),
    )
    assert answer.retry_after_seconds == 3


def test_a_strangers_answer_is_not_quoted() -> None:
    answer = read_answer(503, HTML)

    assert (answer.status, answer.code) == (503, None)
    assert answer.message == "the answer is not Gameball's JSON"


@pytest.mark.parametrize(
    "code", [2**31, -1, 10**30, 4000.5, True, None, [], {}, "", "four", "9" * 5_000]
)
def test_a_code_that_is_none_is_left_out_and_costs_nothing(code: Any) -> None:
    answer = read_answer(202, envelope(code))

    assert (answer.outcome, answer.code) == (Outcome.ACCEPTED, None)


@given(st.text(min_size=200, max_size=600), st.text(max_size=600))
def test_texts_fit_the_history_and_are_one_line(message: str, request_id: str) -> None:
    answer = read_answer(418, envelope(1, message, requestId=request_id))

    # 255 is the width of the column; PostgreSQL refuses a longer one, NUL and lone surrogates.
    for text in (answer.message, answer.request_id):
        assert text is not None
        assert len(text) <= 255
        assert is_written(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(["code", "message", "requestId", "x"]), children, max_size=4
        )
    ),
    max_leaves=8,
)
BODIES = st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode())


@given(st.integers(100, 999), BODIES)
def test_whatever_comes_back_is_an_answer(status: int, body: bytes) -> None:
    answer = read_answer(status, body)

    assert answer.status == status
    assert answer.treatment is TREATMENTS[answer.outcome]
    assert answer.code is None or 0 <= answer.code < 2**31
    if answer.treatment.then is Disposition.ACCEPT:
        assert status == 202


@pytest.mark.parametrize("depth", [10, 500, 900, 2_000, 100_000])
def test_absurd_nesting_is_an_answer_too(depth: int) -> None:
    nested = b"[" * depth + b"]" * depth

    answer = read_answer(400, b'{"code": ' + nested + b"}")

    assert answer.outcome in (Outcome.PERMANENT, Outcome.UNKNOWN)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("no customer ann@b.test", "no customer [removed]"),
        ("'ann@b.test' is invalid", "'[removed]' is invalid"),
        ("mobile +49 30 1 is taken", "mobile [removed] is taken"),
        ("bob.other@c.test is taken", "[removed] is taken"),
        ("can't send this action multiple times", "can't send this action multiple times"),
        (None, None),
    ],
)
def test_contacts_that_gameball_quotes_are_not_kept(said: str | None, kept: str | None) -> None:
    answer = Answer(outcome=Outcome.PERMANENT, status=400, code=1, message=said, request_id="r-1")

    assert discreet(answer, "ann@b.test", "+49 30 1") == replace(answer, message=kept)
    assert discreet(answer, None, None).request_id == "r-1"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(outcome=Outcome.NOT_SENT), "not_sent"),
        (Answer(outcome=Outcome.UNKNOWN, status=502), "unknown: 502"),
        (
            Answer(
                outcome=Outcome.PERMANENT,
                status=400,
                code=3000,
                message="no ann@example.com",
                request_id="0HN7",
            ),
            "permanent: 400, code 3000, request 0HN7",
        ),
    ],
)
def test_an_answer_is_told_by_what_tells_it_apart_and_not_by_its_words(
    answer: Answer, told: str
) -> None:
    assert answer.summary == told
