"""The one door for HTTP calls to others: what it names as the failure, and what it leaves alone."""

from contextlib import closing

import pytest
import requests

from app.outgoing.http import Client, NoResponse, send
from app.platforms.kit.requests import Request
from tests.gameball.stub import Stub, saying

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
UNFINISHED = b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n"


def get(url: str) -> Request:
    return Request(method="GET", url=url)


def test_a_response_is_read_whole() -> None:
    with Stub(saying(OK)) as stub:
        response = send(get(stub.url))

    assert (response.status, response.body) == (200, b"body")
    assert response.headers["content-length"] == "4"


def test_a_body_that_is_too_long_is_no_response() -> None:
    with Stub(saying(OK)) as stub, pytest.raises(NoResponse, match="more than 3 bytes"):
        send(get(stub.url), most_bytes=3)


def test_a_server_that_sends_single_bytes_slowly_is_given_up() -> None:
    def drip(connection: object) -> None:
        saying(UNFINISHED, *([b"x"] * 30), pause=0.05)(connection)  # type: ignore[arg-type]

    with Stub(drip) as stub, pytest.raises(NoResponse):
        send(get(stub.url), read_seconds=0.2, total_seconds=0.4)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (requests.ConnectTimeout("connection timed out"), "ConnectTimeout"),
        (requests.ReadTimeout("read timed out"), "ReadTimeout"),
        (requests.ConnectionError("Read timed out."), "ReadTimeout"),
        (requests.ConnectionError("refused"), "ConnectionError"),
        (ValueError("an address that cannot be used"), "ValueError"),
    ],
)
def test_each_failure_has_its_own_name(
    monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(requests.Session, "request", failing)

    with pytest.raises(NoResponse) as raised:
        send(get("http://127.0.0.1:9/secret"))

    assert raised.value.reason == reason


def test_an_error_of_the_reader_stays_the_readers() -> None:
    with (
        Stub(saying(OK)) as stub,
        closing(Client()) as client,
        pytest.raises(UnicodeError),
        client.stream(get(stub.url)),
    ):
        b"\xff".decode()


def test_a_body_that_breaks_off_is_no_response_while_it_is_read() -> None:
    with (
        Stub(saying(UNFINISHED, b"x")) as stub,
        closing(Client()) as client,
        pytest.raises(NoResponse, match="ChunkedEncodingError"),
        client.stream(get(stub.url)) as (_, chunks),
    ):
        list(chunks)
