"""What platforms sent can be searched, also what earned nothing."""

import json
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.domain.events import Event
from app.service import Service
from app.steps.keys import Role
from app.steps.sources import MOST_REASONS, OTHER_REASON
from app.storage.database import Database
from tests.conftest import on_sqlite
from tests.web.history.conftest import Caller, Clock, follow
from tests.web.history.test_history import receive_follow

EVENT = Event(
    source="twitch",
    key="follow:1",
    platform="twitch",
    action="follow",
    actor="account-1",
    occurred_at=Clock().at,
    received_at=Clock().at,
    payload=b'{"secret": "words"}',
    actor_handle="Ann Plays",
    target="1337",
)


def receive(service: Service, **changes: Any) -> None:
    now = service.now()
    event = replace(EVENT, **{"occurred_at": now, "received_at": now, **changes})
    service.receive([event])


def items(caller: Caller, **query: Any) -> list[dict[str, Any]]:
    answer = caller.get("/v1/events", **query)
    assert answer.status_code == 200, answer.text
    listed: list[dict[str, Any]] = answer.json["items"]  # type: ignore[index]
    return listed


@pytest.fixture
def five(service: Service) -> Service:
    """Five events: two that fit the rule, and three that do not."""
    receive(service, key="1")
    receive(service, key="2", actor="account-2", target="4242")
    receive(service, key="3", action="cheer")
    receive(service, key="4", source="twitch-eu", actor_handle=None)
    receive(service, key="5", actor=None, excluded="cheer names no actor")
    return service


def test_events_are_listed_newest_first_with_what_they_earned(
    five: Service, viewer: Caller
) -> None:
    listed = items(viewer)

    assert [one["key"] for one in listed] == ["5", "4", "3", "2", "1"]
    assert [one["matched"] for one in listed] == [False, False, False, True, True]
    assert [one["reason"] for one in listed] == [
        "cheer names no actor",
        "fits no rule",
        "fits no rule",
        None,
        None,
    ]
    [made] = listed[-1]["attempts"]
    assert (made["challengeId"], made["state"]) == (11664, "unlinked")
    assert listed[0]["attempts"] == []


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ({"source": "twitch-eu"}, ["4"]),
        ({"action": "cheer"}, ["3"]),
        ({"accountId": "account-2"}, ["2"]),
        ({"target": "4242"}, ["2"]),
        ({"matched": "true"}, ["2", "1"]),
        ({"matched": "false"}, ["5", "4", "3"]),
        ({"matched": "false", "action": "follow"}, ["5", "4"]),
        ({"q": "account-2"}, ["2"]),
        ({"q": "acc"}, ["4", "3", "2", "1"]),
        ({"q": "3"}, ["3"]),
        ({"q": "5"}, ["5"]),
        ({"q": "nobody"}, []),
        ({"to": "2026-11-23T11:00:00Z"}, []),
        ({"from": "2026-11-23T11:00:00Z", "matched": "true"}, ["2", "1"]),
    ],
)
def test_a_filter_leaves_out_the_others(
    five: Service, viewer: Caller, query: dict[str, str], keys: list[str]
) -> None:
    assert [one["key"] for one in items(viewer, **query)] == keys


def test_an_event_is_found_by_its_id_or_the_beginning_of_it(five: Service, viewer: Caller) -> None:
    newest = items(viewer)[0]["id"]

    assert items(viewer, q=newest)[0]["id"] == newest
    assert newest in [one["id"] for one in items(viewer, q=newest[:13])]


def test_pages_follow_each_other_without_a_gap(five: Service, viewer: Caller) -> None:
    found, cursor = [], None
    for _ in range(3):
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = viewer.get("/v1/events", **query).json
        assert page is not None
        found += [one["key"] for one in page["items"]]
        cursor = page["nextCursor"]

    assert (found, cursor) == (["5", "4", "3", "2", "1"], None)


def test_a_handle_is_shown_to_operators_and_found_by_them_only(
    five: Service, viewer: Caller, operator: Caller
) -> None:
    assert {one["actorHandle"] for one in items(viewer)} == {None}
    assert items(viewer, q="Ann Plays") == []
    assert len(items(operator, q="Ann Plays")) == 4
    assert items(operator, q="Ann Plays")[-1]["actorHandle"] == "Ann Plays"


def test_one_event_is_read_with_its_payload_by_an_operator(
    five: Service, viewer: Caller, operator: Caller
) -> None:
    event_id = items(viewer)[-1]["id"]

    seen, hidden = (who.get(f"/v1/events/{event_id}").json for who in (operator, viewer))

    assert seen is not None
    assert hidden is not None
    assert seen["payload"] == {"format": "json", "content": {"secret": "words"}}
    assert hidden == {**seen, "payload": None, "actorHandle": None}


def test_an_excluded_event_keeps_no_payload(five: Service, operator: Caller) -> None:
    excluded = items(operator)[0]["id"]

    answer = operator.get(f"/v1/events/{excluded}").json

    assert answer is not None
    assert answer["payload"] is None


def test_an_excluded_event_does_not_stand_in_the_way_of_one_that_earns(
    service: Service, viewer: Caller
) -> None:
    receive(service, actor=None, excluded="follow names no actor")
    receive(service)
    receive(service, actor=None, excluded="follow names no actor")

    assert [one["matched"] for one in items(viewer)] == [True, False]


def test_no_such_event_is_a_404(viewer: Caller) -> None:
    answer = viewer.get("/v1/events/00000000-0000-7000-8000-000000000000")

    assert answer.status_code == 404


@on_sqlite
@pytest.mark.parametrize(
    "query", [{"matched": "perhaps"}, {"cursor": "x"}, {"limit": "0"}, {"state": "due"}]
)
def test_a_wrong_criterion_is_a_400(viewer: Caller, query: dict[str, str]) -> None:
    assert viewer.get("/v1/events", **query).status_code == 400


def test_a_backend_key_may_not_read_events(call_as: Any) -> None:
    assert call_as(Role.BACKEND).get("/v1/events").status_code == 403


def told(service: Service, client: FlaskClient, *actors: str, source: str = "twitch") -> None:
    for actor in actors:
        body, headers = follow(service, actor, source=source)
        assert client.post(f"/webhooks/{source}", data=body, headers=headers).status_code == 204


def unrewarded(service: Service, viewer: Caller) -> dict[str, dict[str, int]]:
    service.watch.flush()
    answer = viewer.get("/v1/sources").json
    assert answer is not None
    return {
        one["name"]: {kind["reason"]: kind["count"] for kind in one["unrewarded"]}
        for one in answer["items"]
    }


def test_what_earns_nothing_is_counted_by_source_and_reason(
    service: Service, client: FlaskClient, viewer: Caller
) -> None:
    told(service, client, "a", source="twitch")
    told(service, client, "b", "c", "c", source="twitch-eu")

    found = unrewarded(service, viewer)

    # The same follow, sent again at another time, is another one.
    assert found == {"twitch": {}, "twitch-eu": {"fits no rule": 3}}


def test_counts_are_added_up_over_processes_and_flushes(
    service: Service, client: FlaskClient, viewer: Caller
) -> None:
    told(service, client, "a", source="twitch-eu")
    service.watch.flush()
    told(service, client, "b", source="twitch-eu")

    assert unrewarded(service, viewer)["twitch-eu"] == {"fits no rule": 2}


def test_a_flood_of_reasons_becomes_one(service: Service, viewer: Caller, clock: Clock) -> None:
    for turn in range(3):
        service.watch.unrewarded("twitch", clock(), [f"word{turn}-{i}" for i in range(70)])
        service.watch.flush()

    found = unrewarded(service, viewer)["twitch"]

    assert len(found) == MOST_REASONS + 1
    assert sum(found.values()) == 210
    assert found[OTHER_REASON] == 210 - MOST_REASONS


def test_an_event_of_a_version_that_kept_no_reason_is_matched_by_its_attempt(
    service: Service, viewer: Caller
) -> None:
    receive_follow(service, "a")
    receive(service, key="9", action="cheer")
    forget_reasons(service.database)

    assert [one["matched"] for one in items(viewer)] == [None, True]
    assert [one["key"] for one in items(viewer, matched="true")] == [items(viewer)[1]["key"]]
    assert items(viewer, matched="false") == []


def forget_reasons(database: Database) -> None:
    database.write(
        lambda c: c.exec_driver_sql("UPDATE events SET fitted = NULL, reason = NULL").close()
    )


def test_the_page_holds_no_payload(five: Service, operator: Caller) -> None:
    assert "words" not in json.dumps(items(operator))
