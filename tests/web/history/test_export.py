"""Is the file whole, and harmless in a spreadsheet?"""

import csv
import io
import json
from typing import Any

import pytest
from sqlalchemy import text

from app.domain.attempts import State
from app.schemas.export import Format, chunks
from app.service import Service
from app.steps.keys import Role
from tests.conftest import on_sqlite
from tests.web.history.conftest import NOW, Caller, Past
from tests.web.history.test_attempts import problem

HEADER = (
    "id,state,reason,customerId,challengeId,source,platform,action,accountId,target,evidence,"
    "occurrence,createdAt,updatedAt,nextAt,undoneAt,erasedAt,eventId,claimed,inFlight,grantedPoints,grantedCoupon"
)


def read_csv(raw: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(raw, newline="")))


def test_a_csv_has_every_attempt_and_every_column(operator: Caller, past: Past) -> None:
    made = past.attempts(3, claimed='{"handle": "jane"}')

    answer = operator.get("/v1/attempts/export", format="csv")

    assert answer.content_type == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == (
        'attachment; filename="vouch-attempts-2026-11-23.csv"'
    )
    assert answer.text.splitlines()[0] == HEADER
    rows = read_csv(answer.text)
    assert [row["id"] for row in rows] == made
    assert rows[0]["claimed"] == '{"handle": "jane"}'
    assert (rows[0]["challengeId"], rows[0]["inFlight"], rows[0]["eventId"]) == (
        "11664",
        "false",
        "",
    )


def test_an_export_says_what_was_undone(viewer: Caller, past: Past) -> None:
    past.attempt(undone_at=NOW)

    (row,) = read_csv(viewer.get("/v1/attempts/export", format="csv").text)

    assert row["undoneAt"] == "2026-11-23T12:00:00.000000Z"


def test_an_ndjson_has_the_lines_of_the_list(viewer: Caller, past: Past) -> None:
    past.attempts(3)

    answer = viewer.get("/v1/attempts/export", format="ndjson")

    listed = viewer.get("/v1/attempts").json["items"]  # type: ignore[index]
    assert answer.content_type == "application/x-ndjson"
    assert [json.loads(line) for line in answer.text.splitlines()] == listed


def test_an_export_takes_the_filters_of_the_list(viewer: Caller, past: Past) -> None:
    past.attempt()
    dead = past.attempt(State.DEAD, customer_id="sought")

    answer = viewer.get("/v1/attempts/export", format="csv", state="dead", q="sought")

    assert [row["id"] for row in read_csv(answer.text)] == [dead]


def test_an_export_of_nothing_is_a_header(viewer: Caller) -> None:
    assert viewer.get("/v1/attempts/export", format="csv").text == f"{HEADER}\r\n"
    assert viewer.get("/v1/attempts/export", format="ndjson").text == ""


@on_sqlite
@pytest.mark.parametrize(
    "start",
    [
        *("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"),
        *(" =", "\u3000\uff0b", "\u00a0@", '"=', "\u200b-", "\ufeff="),
    ],
)
def test_a_cell_is_never_a_formula(viewer: Caller, past: Past, start: str) -> None:
    past.attempt(customer_id=f"{start}HYPERLINK(1)", target=f"safe{start}")

    (row,) = read_csv(viewer.get("/v1/attempts/export", format="csv").text)

    assert row["customerId"] == f"'{start}HYPERLINK(1)"
    assert row["target"] == f"safe{start}"


@on_sqlite
@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("a;=1+1", "a;'=1+1"),
        ("a; \uff1d1", "a; '\uff1d1"),
        ("a,=1+1", "a,'=1+1"),
        ("a\t@x", "a\t'@x"),
        ("a\n=1+1", "a\n'=1+1"),
        ('a;"=1', "a;\"'=1"),
        ("a;-5;+4479 =x", "a;-5;'+4479 =x"),
    ],
)
def test_no_formula_begins_where_another_language_begins_a_cell(
    viewer: Caller, past: Past, text: str, cell: str
) -> None:
    past.attempt(reason=text)

    (row,) = read_csv(viewer.get("/v1/attempts/export", format="csv").text)

    assert row["reason"] == cell


@on_sqlite
@pytest.mark.parametrize(
    "number", ["+447911123456", "+44 (0)20 7946 0958", "+1-415-555-2671", "-1001234567890", "-1.5"]
)
def test_a_number_stays_as_it_is(viewer: Caller, past: Past, number: str) -> None:
    past.attempt(customer_id=number, reason=f"x;{number};{number}")

    (row,) = read_csv(viewer.get("/v1/attempts/export", format="csv").text)

    assert (row["customerId"], row["reason"]) == (number, f"x;{number};{number}")


@on_sqlite
@pytest.mark.parametrize("number", ["-1+1", "+4479|x", "+x", "-2-3", "+1=2", "+" + "1" * 40])
def test_what_only_begins_like_a_number_does_not(viewer: Caller, past: Past, number: str) -> None:
    past.attempt(customer_id=number)

    (row,) = read_csv(viewer.get("/v1/attempts/export", format="csv").text)

    assert row["customerId"] == f"'{number}"


def test_a_csv_begins_with_a_byte_order_mark_where_it_is_asked_for(
    viewer: Caller, past: Past
) -> None:
    past.attempt(customer_id="J\u00fcrgen")

    for_excel = viewer.get("/v1/attempts/export", format="csv", bom="1").data
    plain = viewer.get("/v1/attempts/export", format="csv").data

    assert for_excel == b"\xef\xbb\xbf" + plain
    lines = viewer.get("/v1/attempts/export", format="ndjson", bom="1").text.splitlines()
    assert [json.loads(line)["customerId"] for line in lines] == ["J\u00fcrgen"]


def test_separators_quotes_and_lines_stay_inside_their_cell(viewer: Caller, past: Past) -> None:
    told = 'a "quoted", comma;\nand a line; Ünï 漢字'
    past.attempt(reason=told)

    (row,) = read_csv(viewer.get("/v1/attempts/export", format="csv").text)

    assert row["reason"] == told


@on_sqlite
@pytest.mark.parametrize("query", [{}, {"format": "xlsx"}, {"format": "csv", "limit": "1"}])
def test_a_query_that_cannot_be_is_refused(viewer: Caller, query: dict[str, str]) -> None:
    assert problem(viewer.get("/v1/attempts/export", **query)) == (400, "invalid")


@pytest.mark.parametrize("kind", Format)
def test_a_file_is_written_as_it_is_read(kind: Format) -> None:
    """Nothing of the second page is read before the first is written."""
    read: list[int] = []

    def pages() -> Any:
        for number in range(2):
            read.append(number)
            yield []

    written = chunks(kind, pages(), Role.VIEWER)
    next(written)

    assert read == ([] if kind is Format.CSV else [0])


def test_a_database_that_fails_at_once_is_a_503_and_no_broken_file(
    service: Service, viewer: Caller
) -> None:
    service.database.write(lambda c: c.execute(text("ALTER TABLE attempts RENAME TO gone")))
    try:
        answer = viewer.get("/v1/attempts/export", format="csv")
    finally:
        service.database.write(lambda c: c.execute(text("ALTER TABLE gone RENAME TO attempts")))

    assert problem(answer) == (503, "storage")
