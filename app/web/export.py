"""How does the history leave as a file?"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import Row

from app.steps.keys import Role
from app.web.problems import Problem
from app.web.replies import as_json, json_text
from app.web.shown import Attempt, attempt


class Format(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"


MEDIA_TYPES: Mapping[Format, str] = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.NDJSON: "application/x-ndjson",
}
_COLUMNS = tuple(str(field.serialization_alias) for field in Attempt.model_fields.values())
# A spreadsheet runs a cell that begins with one of these as a formula.
# https://owasp.org/www-community/attacks/CSV_Injection
# Where people write in full width, its variants as well.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

Page = Sequence[Row[Any]]


def chunks(written_as: Format, pages: Iterable[Page], to: Role) -> Iterator[str]:
    """The file's text for a role, a page of attempts at a time. A CSV begins with its header."""
    if written_as is Format.CSV:
        yield _csv_text([_COLUMNS])
    write = _WRITERS[written_as]
    for page in pages:
        yield write([attempt(row, to) for row in page])


def broken_off(written_as: Format, problem: Problem) -> str:
    """The last line of a file that is not complete, which no attempt's line looks like."""
    if written_as is Format.CSV:
        return _csv_text([["incomplete", problem.kind, problem.detail]])
    told = {"type": problem.kind, "detail": problem.detail}
    return f"{json.dumps({'incomplete': told})}\n"


def _csv(attempts: Iterable[Attempt]) -> str:
    return _csv_text([_cell(value) for value in as_json(one).values()] for one in attempts)


def _ndjson(attempts: Iterable[Attempt]) -> str:
    return "".join(f"{json_text(one)}\n" for one in attempts)


_WRITERS: Mapping[Format, Callable[[Iterable[Attempt]], str]] = {
    Format.CSV: _csv,
    Format.NDJSON: _ndjson,
}


def _cell(value: Any) -> Any:
    if isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        value = json.dumps(value)
    is_formula = isinstance(value, str) and value.startswith(_FORMULA_STARTS)
    return f"'{value}" if is_formula else value


def _csv_text(lines: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    return text.getvalue()
