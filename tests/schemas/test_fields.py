"""How do our answers read?"""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from app.schemas.fields import Schema, Statement
from app.schemas.serialise import as_json
from app.web.responses import reply


class Sample(Schema):
    """A sample."""

    attempt_id: str
    created_at: datetime
    updated_at: datetime | None = None


def test_an_answer_is_camel_case_json_with_nulls_and_is_kept_by_nobody() -> None:
    sample = Sample(attempt_id="é", created_at=datetime(2026, 1, 1, tzinfo=UTC))

    answer = reply(sample, 201)

    assert answer.status_code == 201
    assert answer.content_type == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.get_json() == {
        "attemptId": "é",
        "createdAt": "2026-01-01T00:00:00.000000Z",
        "updatedAt": None,
    }


def test_times_are_written_in_utc_whatever_their_zone() -> None:
    moment = datetime(2026, 1, 1, 2, 0, 0, 123_456, tzinfo=timezone(timedelta(hours=2)))

    assert '"2026-01-01T00:00:00.123456Z"' in as_json(Sample(attempt_id="a", created_at=moment))


def test_what_has_no_form_in_our_json_is_a_fault_of_ours() -> None:
    class Odd(Schema):
        payload: bytes

    with pytest.raises(TypeError, match="bytes"):
        as_json(Odd(payload=b""))


def test_a_statement_is_what_came_and_not_what_we_read_into_it() -> None:
    came = {"target": "42", "note": {"stars": [1, 2.5, None, "★"]}}

    assert Statement.model_validate(came).said == came
