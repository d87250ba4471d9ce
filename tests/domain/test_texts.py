"""Is everything that people write taken, and are two ways of typing one name the same?"""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.texts import folded, is_blank, is_written, written

WRITTEN = {
    "an ideographic space": "\u5c71\u7530\u3000\u592a\u90ce",
    "a no-break space": "Tom\u00a0H",
    "a narrow no-break space": "Anne\u202f!",
    "joiners of emoji": "Anna \U0001f469\u200d\U0001f467",
    "a selector of emoji": "I \u2764\ufe0f it",
    "a flag of tags": "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "a Persian non-joiner": "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",
    "marks of direction": "\u200f\u05d3\u05e0\u05d9\u200e \u061c",
    "isolates, as a phone's contacts copy them": "\u2068Ann\u2069",
    "a soft hyphen": "Donau\u00addampf",
    "an emoji newer than Python 3.11": "\U0001fae8\U0001fadf",
    "a letter for private use": "\uf8ff",
    "a zero-width space": "a\u200bb",
}
UNWRITTEN = ["a\x00", "a\nb", "a\tb", "a\x7f", "a\x85b", "a\u2028b", "a\u2029", "\ud83d", "\ufdd0"]
UNWRITTEN += ["\ufffe", "\uffff", "\U0001fffe", "\U0010ffff"]


@pytest.mark.parametrize("name", WRITTEN.values(), ids=WRITTEN)
def test_what_people_write_is_taken_unaltered(name: str) -> None:
    assert is_written(name)
    assert not is_blank(name)
    assert written(name) == name


@pytest.mark.parametrize("text", UNWRITTEN)
def test_what_breaks_lines_or_cannot_be_kept_is_not(text: str) -> None:
    assert not is_written(text)
    assert is_written(written(f"jo{text}"))
    assert written("jo\n\ud83d!", instead=" ") == "jo  !"


@pytest.mark.parametrize("text", ["", " ", "\u3000\u00a0", "\u200b", "\u200e\u200f", "\u3164"])
def test_what_nobody_can_see_is_blank(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("Cool_User", "cool_user"),
        ("Stra\u00dfe", "STRASSE"),
        ("\u5c71\u7530\u3000\u592a\u90ce", "\u5c71\u7530 \u592a\u90ce"),
        ("Tom\u00a0H", " tom h "),
        ("\u0639\u0644\u06cc\u200c\u0631\u0636\u0627", "\u0639\u0644\u06cc\u0631\u0636\u0627"),
        ("I \u2764\ufe0f it", "i \u2764 it"),
        ("\uff21nn", "ann"),
        ("Jose\u0301", "jos\u00e9"),
    ],
)
def test_one_name_is_the_same_however_it_is_typed(name: str, typed: str) -> None:
    assert folded(name) == folded(typed)


def test_two_names_are_two() -> None:
    names = ("ann", "anna", "an n", "\u200b", "\u200c", "\u2764")

    assert len({folded(name) for name in names}) == len(names)


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    once = folded(text)

    assert folded(once) == once
    assert bool(once) == bool(text)


@given(st.characters())
def test_every_printable_character_is_written_and_no_control_character(char: str) -> None:
    if char.isprintable():
        assert is_written(char)
    if unicodedata.category(char) in ("Cc", "Cs"):
        assert not is_written(char)
