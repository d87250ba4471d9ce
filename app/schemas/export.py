"""Export the history as CSV or JSON lines."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row

from app.domain.clock import iso_utc
from app.domain.roles import Role
from app.schemas.attempts import Attempt, attempt
from app.schemas.serialise import as_json, as_object


class Format(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"


MEDIA_TYPES: Mapping[Format, str] = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.NDJSON: "application/x-ndjson",
}
_COLUMNS = tuple(str(field.serialization_alias) for field in Attempt.model_fields.values())
# Without a byte order mark Excel reads non-ASCII letters in its machine's encoding.
_BYTE_ORDER_MARK = "\ufeff"
# A spreadsheet runs a cell that begins with one of these signs as a formula, also in full width,
# and after white space and quotation marks, which it may trim.
# https://owasp.org/www-community/attacks/CSV_Injection
_SIGN = r"[=+\-@\uff1d\uff0b\uff0d\uff20]"
_TRIMMED = r'(?:[^\S\t\r\n]|["\u200b-\u200f\u2060\ufeff])*'
# A number, or a phone number in the form of our API. No formula of these characters is harmful, and
# readers of the file need them unchanged.
_NUMBER = r"(?:-?[0-9]+(?:\.[0-9]+)?|\+[0-9][0-9 ()./-]{0,31})"
# Where the comma is not the list separator, a semicolon begins another cell, and so may the end of
# a line: quotation marks count only at the beginning of a cell.
_SEPARATOR = r"[;,\t\r\n]"
_IS_NUMBER = re.compile(_NUMBER)
_BEGINS_FORMULA = re.compile(rf"[\t\r\n]|{_TRIMMED}{_SIGN}")
_FORMULA_INSIDE = re.compile(
    rf"({_SEPARATOR}{_TRIMMED})(?={_SIGN})(?!{_NUMBER}{_TRIMMED}(?:{_SEPARATOR}|\Z))"
)

Page = Sequence[Row[Any]]


def chunks(
    written_as: Format, pages: Iterable[Page], to: Role, *, for_excel: bool = False
) -> Iterator[str]:
    """Yield the text of the file for a role, by pages of attempts. A CSV begins with its header."""
    if written_as is Format.CSV:
        yield (_BYTE_ORDER_MARK if for_excel else "") + _csv_text([_COLUMNS])
    write = _WRITERS[written_as]
    for page in pages:
        yield write([attempt(row, to) for row in page])


def broken_off(written_as: Format, kind: str, detail: str) -> str:
    """Return the last line of an incomplete file, which differs from any attempt's line."""
    if written_as is Format.CSV:
        return _csv_text([["incomplete", kind, detail]])
    said = {"type": kind, "detail": detail}
    return json.dumps({"incomplete": said}, separators=(",", ":")) + "\n"


def _csv(attempts: Iterable[Attempt]) -> str:
    return _csv_text(
        [_cell(value) for value in as_object(attempt).values()] for attempt in attempts
    )


def _ndjson(attempts: Iterable[Attempt]) -> str:
    return "".join(f"{as_json(attempt)}\n" for attempt in attempts)


_WRITERS: Mapping[Format, Callable[[Iterable[Attempt]], str]] = {
    Format.CSV: _csv,
    Format.NDJSON: _ndjson,
}


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso_utc(value)
    if isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        value = json.dumps(value)
    return _defused(value) if isinstance(value, str) else value


def _defused(text: str) -> str:
    """Put an apostrophe wherever a spreadsheet could see a formula."""
    if _IS_NUMBER.fullmatch(text):
        return text
    inside = _FORMULA_INSIDE.sub(r"\1'", text)
    return f"'{inside}" if _BEGINS_FORMULA.match(inside) else inside


def _csv_text(lines: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    return text.getvalue()
