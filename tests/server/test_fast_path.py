"""Is a callback that is read here read as gunicorn and Flask would, and answered as by them?"""

import http.client
import io
import socket
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.wrappers import Request
from gunicorn.config import Config
from gunicorn.http import wsgi
from gunicorn.http.parser import RequestParser
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.cli.commands.serve import gunicorn_settings
from app.platforms import adapters
from app.platforms.kit.callback import Callback, Example, KeysUnavailable
from app.platforms.kit.examples import templates
from app.server.fast_path import MOST_FIELDS, MOST_HEAD, FastCallback
from app.service import Service
from app.settings.environment import read_environment
from app.storage.errors import StorageUnavailable
from app.web.webhooks import callback_of
from tests.conftest import MakeService
from tests.web.applications import app_over
from tests.web.sources import SOURCES, kept, signed, with_every_platform

PATH = "/webhooks/twitch"


@pytest.fixture
def service(make_service: MakeService) -> Service:
    return with_every_platform(make_service)


@pytest.fixture
def app(service: Service) -> Flask:
    return app_over(service)


def request(
    body: bytes = b"{}",
    *fields: str,
    target: str = PATH,
    method: str = "POST",
    version: str = "1.1",
    length: str | None = None,
) -> bytes:
    size = str(len(body)) if length is None else length
    lines = [f"{method} {target} HTTP/{version}", "Host: shop.example", *fields]
    return "\r\n".join([*lines, f"Content-Length: {size}", "", ""]).encode("latin-1") + body


def request_of(platform: str, sent: Example) -> bytes:
    query = f"?{urlencode(sent.query)}" if sent.query else ""
    fields = [f"{name}: {value}" for name, value in sent.headers.items()]
    return request(sent.body, *fields, target=f"/webhooks/{SOURCES[platform]}{query}")


def read(data: bytes, service: Service) -> FastCallback | None:
    return FastCallback.read(data, service.configuration)


def plain(data: bytes, service: Service) -> FastCallback:
    one = read(data, service)
    assert one is not None
    return one


def by_gunicorn(data: bytes, app: Flask, service: Service) -> tuple[str, Callback, bool]:
    """The path, the callback as Flask's view has it, and whether the connection is to close.

    Raises what gunicorn refuses, and what is left of ``data`` is an error.
    """
    parser = RequestParser(config(), io.BytesIO(data), ("127.0.0.1", 1))
    parsed = next(parser)
    _, environ = wsgi.create(parsed, None, ("127.0.0.1", 1), ("127.0.0.1", 80), config())
    with app.request_context(environ):
        adapter = service.configuration.sources[environ["PATH_INFO"].rpartition("/")[2]]
        callback = callback_of(Request(environ), service, adapter)
    assert parsed.unreader.buf.getvalue() == b""
    return environ["PATH_INFO"], callback, parsed.should_close()


@cache
def config() -> Config:
    """gunicorn's, as `vouch serve` sets it."""
    made = Config()
    for name, value in gunicorn_settings(read_environment({}), None).items():
        if name in made.settings:
            made.set(name, value)
    return made


def assert_read_alike(data: bytes, app: Flask, service: Service) -> None:
    one = plain(data, service)
    here = Callback(
        method="POST",
        headers=one.headers,
        query=one.query,
        body=one.body,
        received_at=service.now(),
    )
    path = f"/webhooks/{one.adapter.source.name}"

    assert by_gunicorn(data, app, service) == (path, here, one.is_last)


# What is read.


@pytest.mark.parametrize("platform", sorted(adapters()))
def test_what_platforms_send_is_read_here_and_alike(
    service: Service, app: Flask, platform: str
) -> None:
    for name in templates(platform):
        assert_read_alike(request_of(platform, signed(service, platform, name)), app, service)


TOKEN = st.text("aZ9-", min_size=1, max_size=5)
NAME = st.sampled_from(
    [
        *("Content-Type", "content-type", "Connection", "Host", "Expect", "Transfer-Encoding"),
        *("Upgrade", "Content-Length", "Content-Length\t", "Trailer", "TE", "SCRIPT_NAME", "X_A"),
        *("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Ssl", "X-A", "x-a", "Cookie"),
    ]
)
VALUE = st.one_of(
    st.sampled_from(
        [
            *("", "close", "Close", "keep-alive", "upgrade", "chunked", "100-continue", "https"),
            *("on", "http", "gzip", "a, b", "  spaced\t", "2", "+2", "\t", "\xe9"),
        ]
    ),
    st.text(st.characters(max_codepoint=255), max_size=8),
)
FIELD = st.builds(
    lambda name, colon, value: name + colon + value,
    st.one_of(NAME, TOKEN),
    st.sampled_from([":", ": ", ":\t ", " :", ""]),
    VALUE,
)
TARGET = st.builds(
    lambda name, query: f"/webhooks/{name}{query}",
    st.sampled_from(
        ["twitch", "wechat", "Twitch", "nobody", "twitch/", "tw%69tch", "twitch#a", ""]
    ),
    st.one_of(st.just(""), st.text("?a=&b~.-_%+;/2", max_size=12).map("?".__add__)),
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Mostly plain, sometimes odd, now and then damaged."""
    body = draw(st.binary(max_size=12))
    data = request(
        body,
        *draw(st.lists(FIELD, max_size=4)),
        target=draw(st.one_of(st.just(PATH), TARGET)),
        method=draw(st.sampled_from(["POST", "POST", "POST", "GET", "post", "PUT"])),
        version=draw(st.sampled_from(["1.1", "1.1", "1.0", "2.0", "1.10"])),
        length=draw(st.sampled_from([None, None, None, "2", "02", "+2", "0", "", "2, 2"])),
    )
    if draw(st.booleans()):
        at = draw(st.integers(0, len(data)))
        end = draw(st.integers(at, min(at + 4, len(data))))
        data = (
            data[:at]
            + draw(st.sampled_from([b"", b"\n", b"\r", b"\r\n", b" ", b"\0"]))
            + data[end:]
        )
    return data + draw(st.sampled_from([b"", b"", b"\r\n", b"POST / HTTP/1.1\r\n\r\n"]))


@settings(max_examples=1_500, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=requests())
def test_whatever_is_read_here_gunicorn_and_flask_read_alike(
    service: Service, app: Flask, data: bytes
) -> None:
    if read(data, service) is not None:
        assert_read_alike(data, app, service)


@given(
    body=st.binary(max_size=300),
    value=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40),
    query=st.dictionaries(TOKEN, TOKEN, max_size=3),
    version=st.sampled_from(["1.0", "1.1"]),
    connection=st.sampled_from([[], ["Connection: close"], ["connection:Keep-Alive"]]),
)
@settings(suppress_health_check=list(HealthCheck), deadline=None)
def test_what_is_plain_is_read_here_and_only_with_its_last_byte(
    service: Service,
    app: Flask,
    body: bytes,
    value: str,
    query: dict[str, str],
    version: str,
    connection: list[str],
) -> None:
    target = f"{PATH}?{urlencode(query)}" if query else PATH
    data = request(body, f"X-A: {value}", *connection, target=target, version=version)

    assert_read_alike(data, app, service)
    assert not any(read(data[:end], service) for end in range(len(data)))
    assert read(data + b"P", service) is None


@pytest.mark.parametrize(
    "fields",
    [
        ("X-Forwarded-Proto: http", "X-Forwarded-Ssl: on"),
        ("X-Forwarded-Proto: https", "X-Forwarded-Protocol: https"),
        ("X-Forwarded-Proto: https, http", "X-Forwarded-Protocol: ssl", "X-Forwarded-Ssl: off"),
    ],
)
def test_proxies_may_disagree_about_the_scheme(
    service: Service, app: Flask, fields: tuple[str, ...]
) -> None:
    assert_read_alike(request(b"{}", *fields), app, service)


def test_a_query_is_read_as_by_flask(service: Service, app: Flask) -> None:
    data = request(target=f"{PATH}?a=1&a=2&b&&c==")

    assert plain(data, service).query == {"a": "1", "b": "", "c": "="}
    assert_read_alike(data, app, service)


# What is left to gunicorn and Flask.


ODD = [
    request(method="GET"),
    request(target="/v1/claims"),
    request(target="/webhooks/nobody"),
    request(target="/webhooks/tw%69tch"),
    request(target="/webhooks/twitch/"),
    request(target="http://shop.example/webhooks/twitch"),
    request(target=f"{PATH}?a=%20"),
    request(target=f"{PATH}?a=1+1"),
    request(version="2.0"),
    request(length="02"),
    request(length="2, 2"),
    request(length="+2"),
    request(b"", length=""),
    request(b"{}", "Content-Length: 2"),
    request(b"{}", "Content-Length : 2"),
    request(b"{}", "Transfer-Encoding: chunked"),
    request(b"{}", "Expect: 100-continue"),
    request(b"{}", "Upgrade: h2c"),
    request(b"{}", "Connection: keep-alive, TE"),
    request(b"{}", "X-A: 1", "x-a: 2"),
    request(b"{}", "X_A: 1"),
    request(b"{}", "X-A: \xe9"),
    request(b"{}", "X-A: 1\n 2"),
    request(b"{}", *(f"X-{number}: a" for number in range(MOST_FIELDS))),
    request(b"{}", "X-A: " + "a" * MOST_HEAD),
    request(b"x" * 5_000_000),
    b"\r\n" + request(),
    request() + request(),
    b"",
]


@pytest.mark.parametrize("data", ODD, ids=range(len(ODD)))
def test_what_is_in_any_way_unusual_is_left_to_who_can_read_it(
    service: Service, data: bytes
) -> None:
    assert read(request(), service) is not None
    assert read(data, service) is None


@given(st.binary(max_size=300))
@settings(suppress_health_check=list(HealthCheck))
def test_junk_is_no_fault(service: Service, data: bytes) -> None:
    assert read(data, service) is None
    assert read(request().replace(b"{}", data), service) is None or len(data) == 2


@pytest.mark.parametrize("line", [b"Content-Length: 1\r\n", b"a:" + b" " * 100 + b"\r\n", b"a:b"])
def test_a_long_head_is_judged_quickly(service: Service, line: bytes) -> None:
    """This is judged where all connections are waited for: meanwhile nobody is served."""
    long = f"POST {PATH} HTTP/1.1\r\n".encode() + line * (60_000 // len(line)) + b"a\nb\r\n\r\n"
    short = long[: MOST_HEAD - 10] + b"\r\n\r\n"

    began = time.process_time()
    judged = [read(data, service) for data in (long, short) for _ in range(10)]

    assert not any(judged)
    assert time.process_time() - began < 0.1


# How it is answered.


def answer_here(service: Service, data: bytes, *, stays: bool = True) -> http.client.HTTPResponse:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(plain(data, service).answer(service, stays=stays))
        answer = http.client.HTTPResponse(theirs)
        answer.begin()
        return answer


Answer = tuple[int, str, Mapping[str, str]]


def both(service: Service, app: Flask, platform: str, sent: Example) -> tuple[Answer, Answer]:
    """The same callback's answer here and Flask's: status, body, and what the application adds."""
    here = answer_here(service, request_of(platform, sent))
    flasks = app.test_client().post(
        f"/webhooks/{SOURCES[platform]}",
        data=sent.body,
        headers=dict(sent.headers),
        query_string=dict(sent.query),
    )
    of_server = {"Date", "Connection"}
    headers = {name: value for name, value in here.getheaders() if name not in of_server}
    return (
        (here.status, here.read().decode(), headers),
        (flasks.status_code, flasks.get_data(as_text=True), dict(flasks.headers)),
    )


@pytest.mark.parametrize("platform", sorted(adapters()))
def test_an_event_is_answered_here_as_by_flask(service: Service, app: Flask, platform: str) -> None:
    for name in templates(platform):
        sent = signed(service, platform, name)
        for callback in (sent, replace(sent, body=sent.body + b" ")):
            here, flasks = both(service, app, platform, callback)
            assert here == flasks, name


@pytest.mark.parametrize(
    "trouble", [StorageUnavailable("down"), KeysUnavailable("none"), RuntimeError("a bug")]
)
def test_trouble_is_answered_here_as_by_flask(
    service: Service, app: Flask, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    def fail(*_: object) -> None:
        raise trouble

    monkeypatch.setattr(Service, "receive", fail)

    here, flasks = both(service, app, "twitch", signed(service, "twitch", "follow"))

    assert here == flasks
    assert here[0] >= 500
    assert kept(service) == [0, 0, 0, 0]


@pytest.mark.parametrize(("stays", "told"), [(True, "keep-alive"), (False, "close")])
def test_an_answer_tells_whether_the_connection_stays(
    service: Service, stays: bool, told: str
) -> None:
    data = request(b"{}", version="1.0")

    raw = plain(data, service).answer(service, stays=stays)

    assert raw.startswith(b"HTTP/1.0 403 Forbidden\r\nDate: ")
    assert f"\r\nConnection: {told}\r\n".encode() in raw


@pytest.mark.parametrize(
    ("version", "fields", "is_last"),
    [
        ("1.1", [], False),
        ("1.1", ["Connection: CLOSE"], True),
        ("1.1", ["Connection: keep-alive"], False),
        ("1.0", [], True),
        ("1.0", ["Connection: close"], True),
        ("1.0", ["Connection: keep-alive"], False),
    ],
)
def test_a_sender_that_wants_the_connection_closed_is_heard(
    service: Service, app: Flask, version: str, fields: list[str], is_last: bool
) -> None:
    data = request(b"{}", *fields, version=version)

    assert plain(data, service).is_last == is_last
    assert_read_alike(data, app, service)
