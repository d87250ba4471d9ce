"""Which requests may share a thread? Only those that are there to their last byte."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web.callback_worker import is_whole_callback

HEAD = b"POST /webhooks/twitch HTTP/1.1\r\nHost: shop\r\n"


def request(body: bytes, *, head: bytes = HEAD, name: bytes = b"Content-Length") -> bytes:
    return head + name + b": " + str(len(body)).encode() + b"\r\nX-A: b\r\n\r\n" + body


@given(st.binary(max_size=300), st.sampled_from([b"Content-Length", b"content-length"]))
def test_a_callback_is_whole_only_with_its_last_byte(body: bytes, name: bytes) -> None:
    whole = request(body, name=name)

    assert is_whole_callback(whole)
    assert not any(is_whole_callback(whole[:end]) for end in range(len(whole)))


@given(st.binary(max_size=300))
def test_junk_is_judged_without_an_error(data: bytes) -> None:
    assert is_whole_callback(data) is False
    assert is_whole_callback(HEAD + data) in (True, False)


@pytest.mark.parametrize(
    "data",
    [
        request(b"{}", head=b"GET /webhooks/x HTTP/1.1\r\n"),
        request(b"{}", head=b"POST /v1/claims HTTP/1.1\r\n"),
        request(b"{}", head=HEAD + b"Transfer-Encoding: chunked\r\n"),
        request(b"{}", head=HEAD + b"Expect: 100-continue\r\n"),
        HEAD + b"Transfer-Encoding : chunked\r\nContent-Length: 2\r\n\r\n{}",
        HEAD + b"Content-Length: 2, 2\r\n\r\n{}",
        HEAD + b"Content-Length: -1\r\n\r\n{}",
        HEAD + b"\r\n",
        b"",
    ],
)
def test_what_may_keep_a_reader_waiting_has_a_thread_of_its_own(data: bytes) -> None:
    assert not is_whole_callback(data)


def test_junk_that_looks_like_many_header_lines_is_judged_quickly() -> None:
    data = HEAD + b"a: b\r\n" * 10_000

    assert not is_whole_callback(data)


@pytest.mark.parametrize("line", [b"Content-Length: 1\r\n", b"a:" + b" " * 100 + b"\r\n"])
def test_a_long_head_is_judged_once_and_not_once_for_each_of_its_lines(line: bytes) -> None:
    """This is judged where all connections are waited for: meanwhile nobody is served."""
    data = HEAD + line * (60_000 // len(line)) + b"a\nb\r\n\r\n"

    began = time.process_time()
    is_whole = is_whole_callback(data)

    assert not is_whole
    assert time.process_time() - began < 0.1


def test_a_head_that_gunicorn_refuses_has_a_thread_of_its_own() -> None:
    assert not is_whole_callback(HEAD + b"a: b\nc: d\r\nContent-Length: 2\r\n\r\n{}")
