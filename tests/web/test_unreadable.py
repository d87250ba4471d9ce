"""How is that refused which gunicorn cannot read, before the application or while it reads?"""

import io
import json
import socket

import pytest
from gunicorn.http.errors import (
    ExpectationFailed,
    InvalidChunkSize,
    InvalidRequestLine,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from structlog.testing import capture_logs

from app.server.slow_clients import SlowClientWorker
from tests.web.shop import Shop, problem


class Chunks(io.BytesIO):
    """A body whose chunks are none: gunicorn tells when we come to them."""

    def readinto(self, _buffer: object) -> int:
        raise InvalidChunkSize(b"zz")

    def read(self, _size: int | None = -1) -> bytes:
        raise InvalidChunkSize(b"zz")


def refused(error: ParseException) -> tuple[bytes, bytes]:
    """The head and the body of the worker's answer."""
    worker = object.__new__(SlowClientWorker)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        worker.handle_error(None, ours, ("192.0.2.1", 1), error)
        ours.shutdown(socket.SHUT_WR)
        head, _, body = theirs.makefile("rb").read().partition(b"\r\n\r\n")
    return head, body


@pytest.mark.parametrize("path", ["/webhooks/twitch", "/v1/claims"])
def test_a_body_whose_chunks_are_none_is_no_fault_of_ours(shop: Shop, path: str) -> None:
    answer = shop.call(
        "POST",
        path,
        input_stream=Chunks(b"zz"),
        content_type="application/json",
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )

    assert (answer.status_code, problem(answer)) == (400, "malformed")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidRequestLine("GET"), 400),
        (UnsupportedTransferCoding("gzip"), 400),
        (LimitRequestLine(9_000, 4_094), 414),
        (ExpectationFailed("200-ok"), 417),
        (LimitRequestHeaders("too many"), 431),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_http_is_a_problem_too(error: ParseException, status: int) -> None:
    head, body = refused(error)

    lines = head.split(b"\r\n")
    assert lines[0].startswith(b"HTTP/1.1 %d " % status)
    assert b"Content-Type: application/problem+json" in lines
    assert b"Content-Length: %d" % len(body) in lines
    assert b"Connection: close" in lines
    assert json.loads(body)["status"] == status


def test_the_log_repeats_nothing_of_what_could_not_be_read() -> None:
    with capture_logs() as logs:
        refused(InvalidRequestLine("GET /webhooks/strava?token=a-secret HTTP/9"))

    assert logs == [
        {"event": "request.unreadable", "kind": "InvalidRequestLine", "log_level": "warning"}
    ]


def test_a_client_that_is_gone_already_is_no_failure() -> None:
    worker = object.__new__(SlowClientWorker)
    ours, theirs = socket.socketpair()
    theirs.close()

    with ours:
        worker.handle_error(None, ours, ("192.0.2.1", 1), InvalidRequestLine("GET"))
