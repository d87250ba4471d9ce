"""XML: what is read of it, and what is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.platforms.kit.callback import Malformed
from app.platforms.kit.xml import xml_object

FEED = """<?xml version="1.0"?>
<feed xmlns:yt="http://www.youtube.com/xml/schemas/2015" xmlns="http://www.w3.org/2005/Atom">
  <link rel="hub" href="https://example.com"/><title>A &amp; B</title>
  <entry><yt:videoId>V1</yt:videoId></entry><entry><yt:videoId>V2</yt:videoId></entry>
  <empty/><note kind="x">text</note>
</feed>"""
LAUGHS = b'<!DOCTYPE a [<!ENTITY b "lol"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>'
OUTSIDE = b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'


def test_elements_are_objects_by_their_local_names() -> None:
    assert xml_object(FEED.encode()) == {
        "feed": {
            "link": {"@rel": "hub", "@href": "https://example.com"},
            "title": "A & B",
            "entry": [{"videoId": "V1"}, {"videoId": "V2"}],
            "empty": "",
            "note": {"@kind": "x", "#text": "text"},
        }
    }


def test_character_data_is_text() -> None:
    assert xml_object(b"<xml><a><![CDATA[<b>]]></a></xml>") == {"xml": {"a": "<b>"}}


@pytest.mark.parametrize("document", [LAUGHS, OUTSIDE, b"<!DOCTYPE a><a/>"])
def test_a_document_type_or_an_entity_is_refused(document: bytes) -> None:
    with pytest.raises(Malformed, match="document type or an entity"):
        xml_object(document)


@pytest.mark.parametrize(
    "document",
    [b"", b" ", b"{}", b"<a>", b"<a></b>", b"<a>&b;</a>", b"<a/><b/>", b"\xff", b"<a>\x00</a>",
     '<?xml version="1.0" encoding="utf-16"?><a/>'.encode("utf-16"), b"<a:b/>"],
)  # fmt: skip
def test_what_is_not_well_formed_utf8_is_malformed(document: bytes) -> None:
    with pytest.raises(Malformed):
        xml_object(document)


@pytest.mark.parametrize("document", [b"<a>" * 40 + b"</a>" * 40, b"<a>" + b"<b/>" * 10_001])
def test_neither_depth_nor_number_is_without_bounds(document: bytes) -> None:
    with pytest.raises(Malformed, match="too many elements, or too deep"):
        xml_object(document)


@given(st.binary())
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        assert isinstance(xml_object(body), dict)
    except Malformed:
        return


def written(value: Any) -> str:
    if isinstance(value, str):
        return f"<![CDATA[{value}]]>"
    return "".join(f"<{name}>{written(inner)}</{name}>" for name, inner in value.items())


TEXTS = st.text("abc ü✓<&", max_size=8).map(str.strip)
TREES = st.recursive(
    TEXTS, lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, min_size=1), max_leaves=8
)


@given(TREES)
def test_what_is_written_is_read_back(value: Any) -> None:
    read = xml_object(f"<root>{written(value)}</root>".encode())

    assert read == {"root": value}
    json.dumps(read)
