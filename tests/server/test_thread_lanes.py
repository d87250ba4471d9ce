"""Which threads does a request get?"""

import pytest
from flask import Flask

from app.server.thread_lanes import INTAKE, LANES, PEOPLE, lane_of
from app.service import Service
from app.web import create_app
from tests.conftest import MakeService


@pytest.fixture
def app(make_service: MakeService) -> Flask:
    service: Service = make_service("")
    return create_app(service)


@pytest.mark.parametrize(
    ("path", "lane"),
    [
        ("/webhooks/twitch", "intake"),
        ("/webhooks/nobody/else", "intake"),
        ("/%77ebhooks/twitch", "intake"),
        ("/healthz", "alive"),
        ("/readyz", "probes"),
        ("/metrics", "probes"),
        ("/v1/attempts/export", "exports"),
        ("/v1/attempts/export/", "exports"),
        ("/v1/attempts/%65xport", "exports"),
        ("/v1/attempts", "people"),
        ("/v1/claims", "people"),
        ("/openapi.json", "people"),
        ("//webhooks/twitch", "people"),
        ("/nope", "people"),
        ("", "people"),
    ],
)
def test_a_path_has_one_lane(path: str, lane: str) -> None:
    assert lane_of(path.encode()).name == lane


def test_no_path_of_people_has_the_intakes_threads(app: Flask) -> None:
    paths = {rule.rule for rule in app.url_map.iter_rules()}
    in_intake = {path for path in paths if lane_of(path.encode()) is INTAKE}

    assert in_intake == {"/webhooks/<source>"}


@pytest.mark.parametrize("threads", [1, 2, 16, 32, 500])
def test_every_lane_has_threads_and_all_but_the_intake_a_bound(threads: int) -> None:
    assert INTAKE.threads(threads) >= threads
    for lane in LANES:
        assert lane.threads(threads) >= 2
        assert (lane.most_waiting is None) is (lane is INTAKE)
    exports = lane_of(b"/v1/attempts/export")
    assert exports.threads(threads) <= PEOPLE.threads(threads)
