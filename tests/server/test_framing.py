"""Where does a request end, however its bytes come?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.server.framing import MOST_CHUNK_LINE, MOST_HEAD, Framing, Outcome, path_of

MOST = 100_000
HEAD = b"POST /webhooks/twitch HTTP/1.1\r\nHost: vouch\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST /webhooks/twitch HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


def framing() -> Framing:
    return Framing(lambda _head: MOST)


def look(data: bytes) -> Outcome:
    return framing().look(bytearray(data))


def chunks(*parts: bytes, trailers: bytes = b"") -> bytes:
    body = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(part), part) for part in parts)
    return CHUNKED + body + b"0\r\n" + trailers + b"\r\n"


def assert_ends_at_its_last_byte(whole: bytes) -> None:
    slow, arrived = framing(), bytearray()
    for position, byte in enumerate(whole, 1):
        arrived.append(byte)
        expected = Outcome.WHOLE if position == len(whole) else Outcome.WAIT
        assert slow.look(arrived) is expected
    for following in (b"", b"POST / HTTP/1.1\r\n\r\n"):
        quick = framing()
        assert quick.look(bytearray(whole + following)) is Outcome.WHOLE
        assert quick.end == slow.end == len(whole)


@given(st.binary(max_size=300))
def test_a_request_is_whole_exactly_when_its_last_byte_is_there(body: bytes) -> None:
    assert_ends_at_its_last_byte(HEAD % len(body) + body)


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.sampled_from([b"", b"A: b\r\n"])
)
def test_a_body_in_chunks_is_whole_with_the_last_of_them(
    parts: list[bytes], trailers: bytes
) -> None:
    assert_ends_at_its_last_byte(chunks(*parts, trailers=trailers))


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nX-Content-Length: 5\r\n\r\n",
    ],
)
def test_a_request_without_a_body_ends_with_its_head(head: bytes) -> None:
    assert_ends_at_its_last_byte(head)


@given(st.binary(min_size=1, max_size=2_000))
def test_junk_is_no_fault(data: bytes) -> None:
    assert look(data) in Outcome
    assert look(CHUNKED + data) in Outcome


@pytest.mark.parametrize(
    "data",
    [
        HEAD % (MOST + 1),
        HEAD % 999_999_999,
        HEAD % 10_000_000_000,
        b"POST / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        CHUNKED + b"zz\r\n",
        CHUNKED + b"-1\r\n",
        CHUNKED + b"fffffffff\r\n",
        CHUNKED + b"1;" + b"a" * MOST_CHUNK_LINE,
    ],
    ids=range(12),
)
def test_what_has_no_end_that_is_waited_for_is_answered_early(data: bytes) -> None:
    assert look(data) is Outcome.EARLY


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        (b"A" * (MOST_HEAD + 1), Outcome.HEAD_TOO_LARGE),
        (CHUNKED + b"%x\r\n" % (MOST + 1), Outcome.BODY_TOO_LARGE),
        (CHUNKED + b"1\r\na\r\n" * MOST, Outcome.BODY_TOO_LARGE),
        (CHUNKED + b"1;%s\r\na\r\n" % (b"a" * 8_000) * 50, Outcome.BODY_TOO_LARGE),
    ],
    ids=["head", "announced", "small-chunks", "extensions"],
)
def test_what_is_kept_of_a_request_is_bounded(data: bytes, outcome: Outcome) -> None:
    assert look(data) is outcome


@pytest.mark.parametrize("zeros", ["0", "0" * 9, "0" * 5_000])
def test_a_length_is_as_long_however_many_zeros_it_begins_with(zeros: str) -> None:
    head = f"POST / HTTP/1.1\r\nContent-Length: {zeros}100\r\n\r\n".encode()

    assert look(head) is Outcome.WAIT
    assert look(head + b"x" * 99) is Outcome.WAIT
    assert look(head + b"x" * 100) is Outcome.WHOLE


@pytest.mark.parametrize(
    ("version", "field", "body", "expects"),
    [
        (b"1.1", b"Expect: 100-continue", b"", True),
        (b"1.1", b"expect:100-Continue", b"", True),
        (b"1.1", b"Expect: 100-continue", b"x", False),
        (b"1.0", b"Expect: 100-continue", b"", False),
        (b"1.1", b"X-Expect: 100-continue", b"", False),
    ],
)
def test_a_sender_that_waits_to_be_asked_for_the_body_is_noticed(
    version: bytes, field: bytes, body: bytes, expects: bool
) -> None:
    asked = framing()
    head = b"POST / HTTP/%s\r\nHost: a\r\n%s\r\nContent-Length: 5\r\n\r\n" % (version, field)

    assert asked.look(bytearray(head + body)) is Outcome.WAIT
    assert asked.expects is expects


def test_a_binary_proxy_header_is_left_out() -> None:
    header = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12)
    request = HEAD % 2 + b"{}"
    whole = header + request

    for end in range(1, len(whole) + 1):
        one, arrived = framing(), bytearray(whole[:end])
        is_past = one.skip_proxy_header(arrived)
        assert is_past is (end >= len(header))
        if is_past:
            assert (one.look(arrived) is Outcome.WHOLE) is (end == len(whole))
    assert framing().skip_proxy_header(bytearray(request))


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (b"GET /webhooks/a?b=/v1 HTTP/1.1", b"/webhooks/a"),
        (b"GET http://shop.example/v1/claims?x HTTP/1.1", b"/v1/claims"),
        (b"\r\nGET /healthz HTTP/1.0", b"/healthz"),
        (b"OPTIONS * HTTP/1.1", b"/"),
        (b"junk", b"/"),
    ],
)
def test_the_path_of_a_request_line(line: bytes, path: bytes) -> None:
    assert path_of(line + b"\r\nHost: a\r\n\r\n") == path
