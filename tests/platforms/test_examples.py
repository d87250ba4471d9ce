"""Templates of callbacks: what is filled in, and how."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from app.platforms.kit.examples import Template, templates

AT = datetime(2026, 1, 1, 2, 0, 0, 250_000, tzinfo=timezone(timedelta(hours=2)))


def template(body: object, **headers: str) -> Template:
    return Template(
        name="follow",
        seen_at="https://example.com/",
        body=body,
        headers=headers,
        query={},
        expect=({"key": "{id}"},),
    )


def filled(body: object) -> object:
    example = template(body).fill(actor="42", target="1337", key="k", now=AT)
    return json.loads(example.body)


def test_placeholders_are_filled_wherever_a_text_stands() -> None:
    body = {"a": ["{actor}", {"b": "{target}_{id}"}], "c": 1, "d": None, "e": True}

    assert filled(body) == {"a": ["42", {"b": "1337_k"}], "c": 1, "d": None, "e": True}


def test_a_time_can_be_written_in_every_way_that_platforms_write_it() -> None:
    body = ["{iso}", "{unix}", "{unix_ms}", "{unix_text}", "{unix_ms_text}"]

    assert filled(body) == [
        "2026-01-01T00:00:00.250Z",
        1767225600,
        1767225600250,
        "1767225600",
        "1767225600250",
    ]


def test_an_id_can_be_a_number_where_it_is_one() -> None:
    body = ["{actor:number}", "{target:number}", "{id:number}", "{actor}"]

    assert filled(body) == [42, 1337, "k", "42"]


@pytest.mark.parametrize("text", ["", "-", "007", "1.5", "٣", "1" * 20, "a-1"])
def test_what_is_no_number_stays_as_it_is(text: str) -> None:
    example = template(["{actor:number}"]).fill(actor=text, target="", key="", now=AT)

    assert json.loads(example.body) == [text]


def test_a_body_that_is_text_is_sent_as_it_is() -> None:
    example = template("id={id}&who={actor}").fill(actor="42", target="", key="k", now=AT)

    assert example.body == b"id=k&who=42"


def test_headers_and_what_is_expected_are_filled_as_well() -> None:
    one = template({}, **{"X-Id": "{id}"})

    example = one.fill(actor="42", target="1337", key="k", now=datetime.now(UTC))

    assert example.headers == {"Content-Type": "application/json", "X-Id": "k"}
    assert one.expected(actor="42", target="1337", key="k", now=AT) == [{"key": "k"}]


def test_other_words_stand_where_a_source_has_other_ids() -> None:
    body = {"a": ["T1", {"b": "in T1"}], "c": 12, "d": -12, "e": None, "f": True, "T1": 1.5}
    one = replace(template(body), stands_for={"teams": "T1", "group": "12"})
    other = SimpleNamespace(teams=("T2", "T3"), group="77")

    assert one.addressed(other).body == {
        "a": ["T2", {"b": "in T2"}], "c": 77, "d": -77, "e": None, "f": True, "T1": 1.5,
    }  # fmt: skip
    assert one.addressed(SimpleNamespace(teams=(), group="")) == one


def test_a_platform_without_examples_has_none() -> None:
    assert templates("nowhere") == {}
