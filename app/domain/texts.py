"""Rules for texts that people write, such as names, and how to compare them."""

import re
import unicodedata

# For sources and platforms: their names are used in paths, tables and logs.
NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$"

# Control characters, line and paragraph separators, surrogates and Unicode noncharacters: they
# break lines and terminals, or cannot be stored. Everything else may be part of a name: joiners,
# spaces of all scripts, marks of direction, letters and emoji that are newer than this Python.
# https://www.unicode.org/faq/private_use.html#nonchar1
_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(
    chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF)
)
_UNWRITTEN = re.compile(f"[\\x00-\\x1f\\x7f-\\x9f\u2028\u2029\ud800-\udfff{_NONCHARACTERS}]")
# https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point: the variation selectors and
# the invisible joiners and fillers that are not format characters (Cf).
_IGNORED = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufe00-\ufe0f\U000e0000-\U000e0fff]"
)


def is_written(value: str) -> bool:
    """Whether people can have written it: one line, and only characters that can be stored."""
    return value.isprintable() or _UNWRITTEN.search(value) is None


def is_blank(value: str) -> bool:
    """Whether the text shows nothing."""
    if value.isascii():
        return not value.strip()
    return not value or value.isspace() or not _visible(value).strip()


def written(value: str, instead: str = "") -> str:
    """Return the text with ``instead`` for each character that `is_written` refuses."""
    return value if value.isprintable() else _UNWRITTEN.sub(instead, value)


def folded(value: str) -> str:
    """Return one form for all ways of typing a name: case, width, spaces, invisible characters.

    Use it to compare, never to show. https://www.unicode.org/reports/tr31/#NFKC_Modifications
    """
    if value.isascii():
        return " ".join(value.lower().split()) or value
    compatible = unicodedata.normalize("NFKC", _visible(value)).casefold()
    # Case folding can break the normalisation.
    same = unicodedata.normalize("NFKC", _visible(compatible))
    return " ".join(same.split()) or value


def _visible(value: str) -> str:
    if value.isascii():
        return value
    seen = _IGNORED.sub("", value)
    return "".join(char for char in seen if unicodedata.category(char) != "Cf")
