"""Do people who read the history take turns, and does everybody get his place back?"""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.service import Service
from app.settings.sections import HistorySection
from app.steps import history
from app.steps.keys import Role
from app.storage.errors import StorageUnavailable, TooSlow
from app.web import create_app
from app.web.reading_slots import EXTENSION, ReadingSlots, ShortSwitches
from tests.conftest import on_sqlite
from tests.web.history.conftest import Caller, Past
from tests.web.shop import problem

READS = ["/v1/attempts", "/v1/stats", "/v1/sources", "/v1/bulk", "/v1/alerts"]
EXPORT = "/v1/attempts/export?format=ndjson"


def begin(viewer: Caller, path: str) -> TestResponse:
    """An answer of which only the first piece is there."""
    return viewer.client.get(path, headers=viewer.headers(), buffered=False)


@pytest.fixture
def turns(client: FlaskClient) -> ReadingSlots:
    made: ReadingSlots = client.application.extensions[EXTENSION]
    return made


@pytest.fixture
def hasty(service: Service) -> None:
    """Nobody waits for a turn, and two exports may be on their way."""
    section = HistorySection(queries=1, query_wait=0, exports=2)
    service.configuration = replace(service.configuration, history=section)


def test_whatever_a_viewer_reads_takes_a_turn(service: Service) -> None:
    app = create_app(service)
    views = [app.view_functions[one.endpoint] for one in app.url_map.iter_rules() if one.methods]
    read_by_viewers = [
        view
        for view, one in zip(views, app.url_map.iter_rules(), strict=True)
        if getattr(view, "role", None) == Role.VIEWER and "GET" in (one.methods or ())
    ]

    assert len(read_by_viewers) > 5
    assert all(getattr(view, "reads_history", False) for view in read_by_viewers)


@on_sqlite
@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("path", [*READS, EXPORT])
def test_whoever_finds_no_turn_is_told_to_come_again(
    viewer: Caller, turns: ReadingSlots, path: str
) -> None:
    turns.queries.take(1, 0)

    refused = viewer.get(path)
    turns.queries.give_back()

    assert (refused.status_code, problem(refused)) == (503, "busy")
    assert int(refused.headers["Retry-After"]) > 0
    assert viewer.get(path).status_code == 200


@pytest.mark.usefixtures("hasty")
def test_a_count_before_a_bulk_takes_a_turn(operator: Caller, turns: ReadingSlots) -> None:
    turns.queries.take(1, 0)

    for dry_run in (True, False):
        refused = operator.post("/v1/attempts/replay", {"all": True, "dryRun": dry_run})
        assert (refused.status_code, problem(refused)) == (503, "busy")


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("failure", [TooSlow("a while"), StorageUnavailable("gone")])
def test_whoever_fails_gives_the_turn_back(
    viewer: Caller, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(*_: object) -> Any:
        raise failure

    with monkeypatch.context() as patched:
        patched.setattr(history, "page", fail)
        refused = [viewer.get(path) for path in ("/v1/attempts", EXPORT, EXPORT, EXPORT)]

    kind = "too-slow" if isinstance(failure, TooSlow) else "storage"
    assert {(one.status_code, problem(one)) for one in refused} == {(503, kind)}
    assert viewer.get(EXPORT).status_code == 200


@pytest.mark.usefixtures("hasty")
def test_no_more_exports_than_may_be_are_on_their_way(viewer: Caller, past: Past) -> None:
    past.attempts(3)
    begun = [begin(viewer, EXPORT) for _ in range(2)]

    refused = viewer.get(EXPORT)
    searched = viewer.get("/v1/attempts")
    begun[0].close()

    assert (refused.status_code, problem(refused)) == (503, "busy")
    assert searched.status_code == 200, "an export that is not read keeps no turn"
    assert len(viewer.get(EXPORT).text.splitlines()) == 3
    assert len(begun[1].text.splitlines()) == 3
    begun[1].close()


@pytest.mark.usefixtures("hasty")
def test_asking_for_an_export_s_headers_takes_no_place(viewer: Caller) -> None:
    for _ in range(5):
        assert viewer.client.head(EXPORT, headers=viewer.headers()).status_code == 200


@pytest.mark.parametrize("written_as", ["csv", "ndjson"])
def test_an_export_that_is_broken_off_does_not_look_complete(
    viewer: Caller, past: Past, monkeypatch: pytest.MonkeyPatch, written_as: str
) -> None:
    past.attempts(201)
    pages = history.pages

    def breaks_off(*asked: Any) -> Iterator[Any]:
        whole = pages(*asked)
        yield next(whole)
        raise TooSlow("a while")

    monkeypatch.setattr(history, "pages", breaks_off)
    answer = begin(viewer, f"/v1/attempts/export?format={written_as}")
    pieces: list[bytes] = []

    # The web server closes the connection without the last chunk where a piece raises.
    with pytest.raises(TooSlow):
        pieces.extend(answer.iter_encoded())

    *_, last = b"".join(pieces).decode().splitlines()
    assert last.startswith("incomplete,too-slow,") or json.loads(last)["incomplete"]


def test_an_export_that_takes_too_long_is_broken_off(
    service: Service, viewer: Caller, past: Past
) -> None:
    past.attempts(1)
    section = HistorySection(export_deadline=1e-9)
    service.configuration = replace(service.configuration, history=section)
    answer = begin(viewer, EXPORT)

    with pytest.raises(TooSlow):
        list(answer.response)


def test_the_interpreter_is_handed_over_often_only_while_somebody_reads() -> None:
    usual = sys.getswitchinterval()
    short = ShortSwitches()
    try:
        sys.setswitchinterval(0.1)
        with short:
            with short:
                inside = sys.getswitchinterval()
            still = sys.getswitchinterval()
        for _ in range(200):
            with short:
                pass
        after = sys.getswitchinterval()
    finally:
        sys.setswitchinterval(usual)

    assert (inside, still, after) == pytest.approx((0.001, 0.001, 0.1), rel=1e-3)
