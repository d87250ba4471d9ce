"""Is a payload shown as what it is, whatever it is?"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.schemas.attempts import payload
from app.schemas.serialise import as_json


@pytest.mark.parametrize(
    ("raw", "kind", "content"),
    [
        (b'{"a": [1, null]}', "json", {"a": [1, None]}),
        (b"[]", "json", []),
        (b"3", "json", 3),
        ('"Ünï"'.encode(), "json", "Ünï"),
        (b'"\\ud800"', "json", "\ud800"),
        (b"", "text", ""),
        (b"a=1&b=2", "text", "a=1&b=2"),
        (b"<feed/>", "text", "<feed/>"),
        (b'{"a": NaN}', "text", '{"a": NaN}'),
        (b"\xff\xfe\x00", "base64", "//4A"),
        (b"\x00", "text", "\x00"),
    ],
)
def test_a_payload_is_json_else_text_else_bytes(raw: bytes, kind: str, content: object) -> None:
    shown = payload(raw)

    assert (shown.format, shown.content) == (kind, content)
    assert json.loads(as_json(shown)) == {"format": kind, "content": content}


@pytest.mark.parametrize("raw", [b"[" * 100_000, b"[" * 900 + b"]" * 900, b"9" * 5_000])
def test_absurd_payloads_are_shown_as_text(raw: bytes) -> None:
    assert json.loads(as_json(payload(raw)))["format"] == "text"


def test_deep_payloads_are_shown_as_json() -> None:
    raw = b'{"a":' * 100 + b"1" + b"}" * 100

    assert json.loads(as_json(payload(raw)))["format"] == "json"


@given(st.binary(max_size=200))
def test_every_payload_can_be_shown(raw: bytes) -> None:
    json.loads(as_json(payload(raw)))
