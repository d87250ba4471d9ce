"""Is what platforms send believed, refused and answered over HTTP as it should be?"""

import io
import json
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from app.domain.events import SameAccount
from app.platforms import adapters
from app.platforms.kit.callback import Example, KeysUnavailable, Reading
from app.platforms.kit.examples import example_source, handshakes, templates
from app.platforms.kit.places import Query
from app.platforms.kit.published import no_fetcher
from app.service import Service
from app.steps.accounts import accounts_of
from app.steps.sources import seen_of
from app.storage.errors import StorageUnavailable
from tests.cli.conftest import is_secret
from tests.clock import Clock
from tests.conftest import MakeService
from tests.platforms.callbacks import adapter_of, callback
from tests.web.applications import app_over
from tests.web.sources import (
    SOURCES,
    adapter_in,
    kept,
    signed,
    table,
    variables,
    with_every_platform,
)

FILE = Path(__file__).parents[1] / "platforms" / "vectors.json"
VECTORS: list[dict[str, Any]] = [v for v in json.loads(FILE.read_text("utf-8")) if "valid" in v]
HANDSHAKES = [(name, one) for name in sorted(adapters()) for one in handshakes(name)]
MARK = "it-was-me"
JUNK = ["", "   ", "\xff\xfe", "NaN", "sha256=", "v1,abc", "x" * 5_000]


@pytest.fixture
def service(make_service: MakeService) -> Service:
    return with_every_platform(make_service)


@pytest.fixture
def client(service: Service) -> FlaskClient:
    return application(service).test_client()


def application(service: Service) -> Flask:
    return app_over(service)


def post(client: FlaskClient, platform: str, sent: Example) -> TestResponse:
    return client.post(
        f"/webhooks/{SOURCES[platform]}",
        data=sent.body,
        headers=dict(sent.headers),
        query_string=dict(sent.query),
    )


@pytest.mark.parametrize("platform", sorted(adapters()))
def test_a_signed_callback_is_kept_once_however_often_it_comes(
    service: Service, client: FlaskClient, platform: str
) -> None:
    adapter = adapter_in(service, platform)
    for number, name in enumerate(templates(platform)):
        sent = signed(service, platform, name, key=f"k-{number}", actor=f"42{number}")
        before = kept(service)[0]

        answers = [post(client, platform, sent) for _ in range(2)]

        at = service.now()
        reading = adapter.read(callback(sent.body, sent.headers, query=sent.query, at=at))
        reply = reading.reply or adapter.accepted
        said = [(answer.status_code, answer.get_data(as_text=True)) for answer in answers]
        assert said == [(reply.status, reply.body)] * 2, name
        assert kept(service)[0] - before == len(reading.events), name


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['adapter']}-{v['id']}")
def test_a_published_signature_is_judged_rightly_over_http(
    make_service: MakeService, clock: Clock, vector: dict[str, Any]
) -> None:
    source = {**example_source(vector["adapter"]), **vector["options"], "name": "published"}
    service = make_service(table(source), **variables(source))
    clock.set(signed_at(vector) or clock.now())

    answer = (
        application(service)
        .test_client()
        .post(
            "/webhooks/published",
            data=vector["body"].encode(),
            headers=vector["headers"],
            query_string=vector.get("query", {}),
        )
    )

    kind = adapters()[vector["adapter"]]
    # A published body need not be one of the platform's events: then it is 400 once believed.
    expected = {200, 204, kind.malformed_status} if vector["valid"] else {kind.forged_status}
    assert answer.status_code in expected


def signed_at(vector: dict[str, Any]) -> datetime | None:
    adapter = adapter_of(vector["adapter"], **vector["options"])
    sent = callback(vector["body"].encode(), vector["headers"], query=vector.get("query", {}))
    return next((one.time.parse(sent) for one in adapter.schemes if one.time), None)


@pytest.mark.parametrize("platform", sorted(adapters()))
def test_junk_in_any_signed_header_is_refused_and_leaves_no_trace(
    service: Service, client: FlaskClient, platform: str
) -> None:
    honest = signed(service, platform, next(iter(templates(platform))))
    schemes = adapter_in(service, platform).schemes
    read = {header.lower() for one in schemes for header in one.headers}
    queries = honest.query if any(isinstance(one.proof, Query) for one in schemes) else ()
    changed = [
        *(("headers", name) for name in sorted(read & set(honest.headers))),
        *(("query", name) for name in queries),
    ]

    for (part, name), junk in product(changed, JUNK):
        change: dict[str, Any] = {part: {**getattr(honest, part), name: junk}}
        answer = post(client, platform, replace(honest, **change))

        assert_forged(answer, platform)
    assert kept(service) == [0, 0, 0, 0]


def assert_forged(answer: TestResponse, platform: str) -> None:
    status = adapters()[platform].forged_status
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json" or status < 300


@pytest.mark.parametrize("platform", sorted(adapters()))
def test_what_a_stranger_signs_is_refused_and_leaves_no_trace(
    service: Service, client: FlaskClient, platform: str
) -> None:
    template = next(iter(templates(platform).values()))
    example = template.fill(actor="42", target="1337", key="k", now=service.now())
    forged = adapter_in(service, platform).forge(example, service.now())

    assert_forged(post(client, platform, forged), platform)
    assert kept(service) == [0, 0, 0, 0]


@pytest.mark.parametrize(("platform", "name"), HANDSHAKES)
def test_a_handshake_is_answered_over_http_as_the_platform_expects(
    service: Service, client: FlaskClient, platform: str, name: str
) -> None:
    told, adapter = handshakes(platform)[name], adapter_in(service, platform)
    asked = adapter.sign(told.asked, service.now()) if told.is_signed else told.asked

    answer = client.open(
        f"/webhooks/{SOURCES[platform]}",
        method=told.method,
        data=asked.body,
        headers=dict(asked.headers),
        query_string=dict(asked.query),
    )

    assert answer.status_code == told.reply.status
    assert answer.get_data(as_text=True) == told.reply.body
    assert not told.reply.body or answer.content_type == told.reply.content_type
    assert kept(service) == [0, 0, 0, 0]


@pytest.mark.parametrize("platform", sorted(adapters()))
def test_a_reason_that_is_kept_repeats_nothing_that_was_sent_or_configured(
    service: Service, client: FlaskClient, platform: str
) -> None:
    honest = signed(service, platform, next(iter(templates(platform))))
    source = example_source(platform).items()
    secrets = [one for key, value in source if is_secret(platform, key) for one in flat(value)]
    schemes = adapter_in(service, platform).schemes
    read = {header.lower() for one in schemes for header in one.headers}

    for header in sorted(read & set(honest.headers)):
        headers = {**honest.headers, header: honest.headers[header][:-3] + MARK}
        post(client, platform, replace(honest, body=honest.body + MARK.encode(), headers=headers))
        service.watch.flush()
        with service.database.read() as connection:
            seen = seen_of(connection, [SOURCES[platform]])[SOURCES[platform]]

        assert seen.refusal_reason
        assert MARK not in seen.refusal_reason
        assert not [s for s in secrets if len(s) > 8 and s in seen.refusal_reason]


def flat(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


@settings(max_examples=300, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_nothing_a_stranger_sends_is_a_fault_or_changes_anything(
    service: Service, client: FlaskClient, data: st.DataObject
) -> None:
    platform = data.draw(st.sampled_from(sorted(adapters())))
    schemes = adapter_in(service, platform).schemes
    names = {header for one in schemes for header in one.headers}
    value = st.text(st.characters(max_codepoint=255, blacklist_characters="\r\n\0"), max_size=60)
    headers = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(sorted(names), value)))
    query = data.draw(st.dictionaries(st.sampled_from(["crc_token", "hub.mode", "a"]), value))
    body = data.draw(st.binary(max_size=200))
    method = data.draw(st.sampled_from(["GET", "POST"]))

    answer = client.open(
        f"/webhooks/{SOURCES[platform]}",
        method=method,
        data=body,
        headers=headers,
        query_string=query,
    )

    assert answer.status_code < 500
    refused = adapters()[platform].forged_status
    is_a_crc = method == "GET" and "crc_token" in query
    assert answer.status_code >= 400 or answer.status_code == refused or is_a_crc
    assert kept(service) == [0, 0, 0, 0]


def test_where_a_platform_repeats_whatever_is_not_2xx_a_wrong_shape_is_answered_2xx(
    service: Service, client: FlaskClient
) -> None:
    kinds = [name for name, kind in adapters().items() if kind.malformed_status < 300]
    adapter = adapter_in(service, kinds[0])
    sent = adapter.sign(Example(b'{"message": 1}'), service.now())

    answer = post(client, kinds[0], sent)

    assert (answer.status_code, answer.get_data()) == (adapter.malformed_status, b"")
    assert kept(service) == [0, 0, 0, 0]


def test_a_key_that_cannot_be_had_is_a_503_so_that_the_platform_sends_again(
    service: Service, client: FlaskClient
) -> None:
    platform = next(name for name in adapters() if adapter_in(service, name).keys_url)
    sent = signed(service, platform, next(iter(templates(platform))))
    adapter = adapter_in(service, platform)
    adapter.source = adapter.source.model_copy(update={"secrets": ()})
    adapter.fetch = no_fetcher

    answer = post(client, platform, sent)

    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert answer.headers["Retry-After"]
    assert kept(service) == [0, 0, 0, 0]


def test_the_service_gives_every_adapter_the_same_memory_of_published_keys(
    service: Service,
) -> None:
    before = {id(one.fetch) for one in service.configuration.sources.values()}

    assert service.reload()

    after = {id(one.fetch) for one in service.configuration.sources.values()}
    assert before == after == {id(service.published_keys)}


def test_keys_are_fetched_before_the_first_callback_needs_them(service: Service) -> None:
    platform = next(name for name in adapters() if adapter_in(service, name).keys_url)
    adapter, asked = adapter_in(service, platform), []

    def fetch(url: str, *, refresh: bool = False) -> bytes:
        asked.append((url, refresh))
        raise KeysUnavailable("it is on its way")

    adapter.fetch = fetch
    service.fetch_keys()
    assert not asked
    adapter.source = adapter.source.model_copy(update={"secrets": ()})
    service.fetch_keys()

    assert asked == [(adapter.keys_url, False)]


def test_an_answer_after_the_platforms_deadline_is_logged(
    service: Service, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter([100.0, 103.5])
    monkeypatch.setattr("app.web.webhooks.time.perf_counter", lambda: next(seconds))
    with capture_logs() as logs:
        post(client, "discord", signed(service, "discord", "command"))

    (late,) = [one for one in logs if one["event"] == "webhook.late"]
    assert (late["source"], late["seconds"], late["deadline_seconds"]) == ("discord", 3.5, 3)


def test_an_unknown_source_is_404(client: FlaskClient) -> None:
    answer = client.post("/webhooks/nobody", data=b"{}")

    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")


def test_a_body_over_the_limit_is_413_and_not_a_forgery(
    make_service: MakeService,
) -> None:
    source = example_source("twitch")
    service = make_service(
        table(source) + "[web]\nmax_callback_bytes = 1024\n", **variables(source)
    )
    body, headers = b"x" * 1025, {"Content-Type": "application/json"}
    client = application(service).test_client()

    answer = client.post("/webhooks/twitch", data=body, headers=headers)
    # Of an unknown length, as in chunks.
    other = client.post(
        "/webhooks/twitch",
        input_stream=io.BytesIO(body),
        headers=headers,
        environ_overrides={"wsgi.input_terminated": True},
    )

    assert (answer.status_code, other.status_code) == (413, 413)


PROOF_IN_BODY = [name for name, one in sorted(adapters().items()) if one.unproven_bytes]


@pytest.mark.parametrize("platform", PROOF_IN_BODY)
@pytest.mark.parametrize("body", [b"x" * 300_000, b"[1]," * 15_000], ids=["large", "of many parts"])
def test_a_stranger_s_body_that_would_be_parsed_is_413_before_it_is(
    service: Service, client: FlaskClient, platform: str, body: bytes
) -> None:
    name = SOURCES[platform]

    with capture_logs() as logs:
        answer = client.post(f"/webhooks/{name}", data=body)

    service.watch.flush()
    with service.database.read() as connection:
        seen = seen_of(connection, [name])[name]
    (refused,) = [one for one in logs if one["event"] == "webhook.refused"]
    assert (answer.status_code, answer.json and answer.json["type"]) == (413, "/docs#too-large")
    assert (refused["kind"], seen.refusal_kind) == ("too-large", "too-large")
    assert seen.refusal_reason == refused["reason"]


@pytest.mark.parametrize(("largest", "status"), [(1_500_000, 403), (1_000_000, 413)])
def test_a_source_may_take_larger_or_smaller_bodies_than_its_platform_s(
    make_service: MakeService, largest: int, status: int
) -> None:
    source = {**example_source("zalo"), "max_bytes": largest}
    service = make_service(table(source), **variables(source))
    body = json.dumps({"event_name": "follow", "text": "x" * 1_200_000}).encode()

    answer = application(service).test_client().post(f"/webhooks/{source['name']}", data=body)

    assert answer.status_code == status


def test_a_wrong_shape_is_400_only_after_a_right_signature(
    service: Service, client: FlaskClient
) -> None:
    adapter = service.configuration.sources["twitch"]
    name = {"Twitch-Eventsub-Message-Id": "m-1"}
    headers = dict(adapter.sign(Example(b"[]", name), service.now()).headers)

    right = client.post("/webhooks/twitch", data=b"[]", headers=headers)
    wrong = client.post("/webhooks/twitch", data=b"[ ]", headers=headers)

    assert (right.status_code, wrong.status_code) == (400, 403)


def test_storage_that_fails_is_a_503_so_that_the_platform_sends_again(
    service: Service, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = signed(service, "twitch", "follow")

    def fail(*_: object) -> None:
        raise StorageUnavailable("the disk is full")

    monkeypatch.setattr(service.database, "write_each", fail)
    answer = post(client, "twitch", sent)

    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "disk" not in answer.get_data(as_text=True)


def test_a_wrong_statement_of_ours_is_a_500_with_its_traceback_in_the_log(
    service: Service, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = signed(service, "twitch", "follow")
    written = service.database.write_each

    def mistaken(_step: object, items: Sequence[object], *more: float) -> Sequence[object]:
        def run(connection: Connection, _items: Sequence[object]) -> Sequence[object]:
            connection.execute(text("SELEC 1"))
            return items

        return written(run, items, *more)

    monkeypatch.setattr(service.database, "write_each", mistaken)
    with capture_logs() as logged:
        answer = post(client, "twitch", sent)

    [failed] = [one for one in logged if one["event"] == "request.failed"]
    assert answer.status_code == 500
    assert failed["error"] == "StatementFailed"
    assert "in run" in "".join(traceback.format_exception(failed["exc_info"]))
    assert not [one for one in logged if one["event"] == "storage.unavailable"]


def test_a_disk_that_is_too_slow_for_the_platform_is_a_503_before_its_deadline(
    service: Service, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = service.configuration.sources["twitch"]
    monkeypatch.setattr(type(adapter), "deadline_seconds", 0.5)
    sent = signed(service, "twitch", "follow")
    stuck, go = threading.Event(), threading.Event()

    def take_long(_connection: object) -> None:
        stuck.set()
        go.wait(10)

    slow = threading.Thread(target=service.database.write, args=(take_long,))
    slow.start()
    assert stuck.wait(10)
    began = time.monotonic()

    answer = post(client, "twitch", sent)

    took = time.monotonic() - began
    go.set()
    slow.join()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert took < 5


def test_a_handshake_is_plain_text_that_no_browser_takes_for_a_page(client: FlaskClient) -> None:
    query = {
        "hub.mode": "subscribe",
        "hub.verify_token": "example-verify-token",
        "hub.challenge": "<script>",
    }

    answer = client.get("/webhooks/meta", query_string=query)

    assert answer.get_data(as_text=True) == "<script>"
    assert answer.mimetype == "text/plain"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_refused_handshake_is_told_of_no_body(client: FlaskClient) -> None:
    answer = client.get("/webhooks/x", query_string={"crc_token": '{"a": 1}'})

    assert answer.status_code == 400
    assert "handshake" in answer.json["detail"]  # type: ignore[index]


def test_ids_that_a_platform_says_are_of_one_account_are_remembered_before_the_answer(
    service: Service, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Reading(same_accounts=(SameAccount("number", "user"),))
    monkeypatch.setattr(adapters()["discord"], "read", lambda *_: told)

    answer = post(client, "discord", signed(service, "discord", "command"))

    assert answer.status_code < 300
    with service.database.read() as connection:
        accounts = accounts_of(connection, [("discord", "user")])
    assert accounts["discord", "user"].ids == ("number", "user")


def test_ids_of_one_account_that_cannot_be_remembered_are_a_503(
    service: Service, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Reading(same_accounts=(SameAccount("number", "user"),))
    monkeypatch.setattr(adapters()["discord"], "read", lambda *_: told)
    sent = signed(service, "discord", "command")

    def fail(*_: object) -> None:
        raise StorageUnavailable("no disk")

    monkeypatch.setattr(service.database, "write_each", fail)

    assert post(client, "discord", sent).status_code == 503
