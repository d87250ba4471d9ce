"""One value out of a payload: read, or refused as malformed."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.events import Event
from app.domain.texts import is_written
from app.platforms.kit import fields
from app.platforms.kit.callback import Malformed, Reading
from tests.platforms.callbacks import NOW

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)  # fmt: skip
NO_OBJECTS = [
    b"", b"[]", b"1", b"null", b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1e400}',
    b'{"a": -1e400}', '{"a": 1}'.encode("utf-16"), b'\xef\xbb\xbf{"a": 1}', b'{"a": "\xe4"}',
    b'{"a": 1} x',
    b'{"a":' * 50_000, b'{"a": ' + b"1" * 5_000 + b"}",
]  # fmt: skip
LABELS: list[tuple[object, str | None]] = [
    ("jo", "jo"), (" jo \n", " jo "), ("a\u200db\x00", "a\u200db"), ("x" * 300, "x" * 255),
    ("\u5c71\u3000\u592a", "\u5c71\u3000\u592a"), ("\ud83d", None), ("\u200b \n", None),
    ("\n", None), ("", None), (None, None), (7, None), ({}, None),
]  # fmt: skip
NO_UNIX_TIMES: list[object] = [
    None, True, 1.5, "", "x", "1e9", "+1475578854", " 1475578854", "-1", -1, 0, 10**12, 10**400,
    "9" * 30, "١٤٧٥٥٧٨٨٥٤", "NaN", [], {},
]  # fmt: skip
NO_ISO_TIMES = [
    None, 5, "", "T", "2026-01-01", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+10:00", "T" * 41,
    "9999-12-31T23:59:59-10:00", "2004-12-31T23:59:59Z", "2101-01-01T00:00:00Z",
]  # fmt: skip


def event(key: str) -> Event:
    return Event(
        source="source",
        key=key,
        platform="platform",
        action="follow",
        actor="42",
        occurred_at=NOW,
        received_at=NOW,
        payload=b"{}",
    )


@pytest.mark.parametrize("body", [b'{"a": 1}', b' {"a": "\xc3\xa4"} ', b"{}", b'{"a": "\\ud800"}'])
def test_a_json_object_is_read(body: bytes) -> None:
    assert fields.json_object(body) == json.loads(body)


@pytest.mark.parametrize("body", NO_OBJECTS, ids=lambda body: repr(body[:12]))
def test_what_is_no_json_object_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        fields.json_object(body)


@given(JSON)
def test_what_was_read_can_be_written_back(value: Any) -> None:
    written = fields.compact_json({"value": value})

    assert json.loads(written) == {"value": value}
    assert written.isascii()


def test_what_json_cannot_say_is_not_written() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    for value in (float("nan"), float("inf"), deep):
        with pytest.raises(Malformed):
            fields.compact_json(value)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.b.c", 1),
        ("a.b", {"c": 1}),
        ("a.x", None),
        ("a.b.c.d", None),
        ("list.0", None),
        ("", None),
    ],
)
def test_a_path_leads_to_a_value_or_to_nothing(path: str, found: object) -> None:
    assert fields.dig({"a": {"b": {"c": 1}}, "list": [1]}, path) == found


@pytest.mark.parametrize(
    ("value", "items"),
    [(None, []), ([1, 2], [1, 2]), ([], []), ({"a": 1}, [{"a": 1}]), ("ab", ["ab"])],
)
def test_a_list_may_be_absent_and_anything_else_is_one_item(value: object, items: object) -> None:
    assert fields.listed(value) == items


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (42, "42"),
        (-7, "-7"),
        ("ä ö", "ä ö"),
        ("x" * 255, "x" * 255),
        ("a\u200d\u00a0b", "a\u200d\u00a0b"),
    ],
)
def test_a_short_text_or_a_number_is_a_text(value: object, text: str) -> None:
    assert fields.text(value, "it") == text


@pytest.mark.parametrize(
    "value", [None, "", " ", True, 1.5, [], {}, "a\nb", "a\x00", "\ud800", "x" * 256, 10**30, b"a"]
)
def test_anything_else_is_no_text(value: object) -> None:
    with pytest.raises(Malformed, match="it is"):
        fields.text(value, "it")


def test_an_optional_text_may_be_absent_or_empty_but_not_wrong() -> None:
    assert fields.optional_text(None, "it") is None
    assert fields.optional_text("", "it") is None
    assert fields.optional_text("a", "it") == "a"
    with pytest.raises(Malformed):
        fields.optional_text([], "it")


@pytest.mark.parametrize(("value", "label"), LABELS)
def test_a_label_never_costs_an_event(value: object, label: str | None) -> None:
    assert fields.label(value) == label


@given(st.text(st.characters()))
def test_a_label_is_one_line_and_short(value: str) -> None:
    label = fields.label(value)

    assert label is None or (is_written(label) and 0 < len(label) <= 255)


@pytest.mark.parametrize(
    ("value", "per_second", "moment"),
    [
        (1475578854, 1, datetime(2016, 10, 4, 11, 0, 54, tzinfo=UTC)),
        ("1475578854", 1, datetime(2016, 10, 4, 11, 0, 54, tzinfo=UTC)),
        ("1517588749178", 1000, datetime(2018, 2, 2, 16, 25, 49, 178000, tzinfo=UTC)),
    ],
)
def test_a_unix_time_is_a_number_or_digits(
    value: object, per_second: int, moment: datetime
) -> None:
    assert fields.unix_time(value, "it", per_second) == moment


@pytest.mark.parametrize("value", NO_UNIX_TIMES, ids=lambda value: repr(value)[:12])
def test_anything_else_is_no_unix_time(value: object) -> None:
    with pytest.raises(Malformed, match="it is"):
        fields.unix_time(value, "it")


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2020-07-15T18:16:11.17106713Z", datetime(2020, 7, 15, 18, 16, 11, 171067, tzinfo=UTC)),
        ("2026-01-01T00:00:00", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T02:00:00+02:00", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2025-08-04T10:33:16+0000", datetime(2025, 8, 4, 10, 33, 16, tzinfo=UTC)),
    ],
)
def test_an_iso_time_becomes_utc(value: str, moment: datetime) -> None:
    assert fields.iso_time(value, "it") == moment
    assert fields.iso_time(value, "it").utcoffset() == timedelta(0)


@pytest.mark.parametrize("value", NO_ISO_TIMES)
def test_anything_else_is_no_iso_time(value: object) -> None:
    with pytest.raises(Malformed, match="it is"):
        fields.iso_time(value, "it")


@settings(max_examples=200)
@given(st.text() | st.datetimes().map(str) | st.datetimes().map(datetime.isoformat))
def test_no_text_makes_a_time_fail_otherwise(value: str) -> None:
    for read in (fields.iso_time, fields.unix_time, fields.unix_ms_time):
        try:
            moment = read(value, "it")
        except Malformed:
            continue
        assert moment.tzinfo is UTC


def test_a_time_may_follow_a_pattern() -> None:
    pattern = "%a %b %d %H:%M:%S %z %Y"

    moment = fields.formatted_time("Mon Mar 26 16:33:26 +0000 2018", "it", pattern)

    assert moment == datetime(2018, 3, 26, 16, 33, 26, tzinfo=UTC)
    for wrong in ("Mon Mar 26", "Mon Mar 26 16:33:26 +0000 1918", None, 5, "%a" * 30):
        with pytest.raises(Malformed, match="it is"):
            fields.formatted_time(wrong, "it", pattern)


def read(item: object) -> Event | str:
    if not isinstance(item, str):
        raise Malformed(f"{item} is not a string")
    return f"{item} earns nothing" if item.isupper() else event(item)


def test_one_bad_item_of_a_batch_does_not_cost_the_others() -> None:
    reading = fields.read_each(["a", 1, "B", "c"], read)

    assert [one.key for one in reading.events] == ["a", "c"]
    assert reading.ignored == ("B earns nothing", "malformed: 1 is not a string")


def test_an_empty_batch_says_nothing() -> None:
    assert fields.read_each([], read) == Reading()


def test_a_batch_of_which_nothing_can_be_read_is_malformed() -> None:
    with pytest.raises(Malformed, match="1 is not a string"):
        fields.read_each([1, 2], read)


def test_a_form_has_the_first_value_of_each_name() -> None:
    assert fields.form(b"a=1&b=x+y%2Fz&a=2&c=") == {"a": "1", "b": "x y/z", "c": ""}


@pytest.mark.parametrize("body", [b"a", b"%FF=1", b"a=%FF", b"\xff=1", b"a=1&" * 300])
def test_what_is_no_form_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed, match="not a form"):
        fields.form(body)


@given(st.binary())
def test_any_bytes_are_a_form_or_malformed(body: bytes) -> None:
    for read in (fields.form, fields.json_or_payload):
        try:
            assert isinstance(read(body), dict)
        except Malformed:
            continue


def test_a_payload_in_a_form_is_as_good_as_json() -> None:
    assert (
        fields.json_or_payload(b'{"a": 1}')
        == fields.json_or_payload(b"payload=%7B%22a%22%3A1%7D")
        == {"a": 1}
    )


@pytest.mark.parametrize(
    ("values", "text"),
    [(("C1", "1.2"), "C1_1.2"), ((-100, 90), "-100_90"), (("C1", None), None), ((None,), None)],
)
def test_parts_of_an_id_are_joined_unless_one_is_missing(values: Any, text: str | None) -> None:
    assert fields.joined("_", *values) == text


@pytest.mark.parametrize("value", [[], {}, True, 1.5, "", "\n"])
def test_a_part_of_an_id_is_a_text_or_a_number(value: object) -> None:
    with pytest.raises(Malformed):
        fields.joined("_", "C1", value)
