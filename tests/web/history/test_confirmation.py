"""Does everybody who may look see what was granted, and how it is known?"""

import csv
import io
from typing import Any

import pytest
from sqlalchemy import insert

from app.domain.attempts import State
from app.domain.confirmation import Proof
from app.service import Service
from app.steps import confirmation
from app.storage.tables import GRANTS
from tests.web.history.conftest import NOW, Caller, Past


@pytest.fixture
def granted(past: Past, service: Service) -> str:
    """An attempt whose reward is known; its id."""
    attempt_id = past.attempt(State.GRANTED)
    row = {
        "attempt_id": attempt_id,
        "customer_id": "customer-1",
        "proof": Proof.TRANSACTION,
        "reference": "11034736",
        "granted_at": NOW,
        "points": 70.0,
        "coupon_code": "SUMMER-1",
        "seen_at": NOW,
    }
    sealed = service.database.vault.seal_row(GRANTS, row)
    service.database.write(lambda c: c.execute(insert(GRANTS), sealed))
    service.database.write(lambda c: confirmation.keep_baseline(c, attempt_id, 2, NOW))
    return attempt_id


def in_full(caller: Caller, attempt_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = caller.get(f"/v1/attempts/{attempt_id}").json  # type: ignore[assignment]
    return shown


def test_an_attempt_tells_what_was_granted_and_what_shows_it(
    operator: Caller, granted: str
) -> None:
    assert in_full(operator, granted)["confirmation"] == {
        "countedBefore": 2,
        "nextLookAt": None,
        "granted": {
            "at": "2026-11-23T12:00:00.000000Z",
            "points": 70,
            "coupon": "SUMMER-1",
            "proof": "transaction",
            "reference": "11034736",
            "seenAt": "2026-11-23T12:00:00.000000Z",
        },
    }


def test_an_accepted_attempt_tells_when_it_is_looked_at(viewer: Caller, past: Past) -> None:
    attempt_id = past.attempt(State.ACCEPTED, next_at=NOW)

    assert in_full(viewer, attempt_id)["confirmation"] == {
        "countedBefore": None,
        "nextLookAt": "2026-11-23T12:00:00.000000Z",
        "granted": None,
    }


def test_a_list_and_an_export_tell_what_was_granted(
    operator: Caller, past: Past, granted: str
) -> None:
    past.attempt(State.NOT_GRANTED)

    listed = operator.get("/v1/attempts").json["items"]  # type: ignore[index]
    exported = operator.get("/v1/attempts/export", format="csv").text

    assert [(one["grantedPoints"], one["grantedCoupon"]) for one in listed] == [
        (None, None),
        (70, "SUMMER-1"),
    ]
    rows = list(csv.DictReader(io.StringIO(exported, newline="")))
    assert [row["grantedPoints"] for row in rows] == ["", "70"]
    assert [row["grantedCoupon"] for row in rows] == ["", "SUMMER-1"]


def test_a_scrape_tells_how_long_the_longest_waits_for_the_truth(
    viewer: Caller, past: Past
) -> None:
    none = _gauge(viewer.get("/metrics").text)
    past.attempt(State.ACCEPTED, updated_at=NOW)

    assert none == 0
    assert 0 < _gauge(viewer.get("/metrics").text) < 60


def _gauge(text: str) -> float:
    [line] = [one for one in text.splitlines() if one.startswith("vouch_oldest_unconfirmed_s")]
    return float(line.split()[-1])
