"""When is a request whole, and what does one cost that is not?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web.patient_worker import MOST_BUFFERED, missing_bytes

HEAD = b"POST /webhooks/twitch HTTP/1.1\r\nHost: vouch\r\nContent-Length: %d\r\n\r\n"


def request(body: bytes) -> bytes:
    return HEAD % len(body) + body


@given(st.binary(max_size=300))
def test_a_request_is_whole_exactly_when_its_last_byte_is_there(body: bytes) -> None:
    whole = request(body)
    head = len(whole) - len(body)

    assert missing_bytes(whole) == 0
    for cut in range(1, len(whole)):
        expected = 1 if cut < head else len(whole) - cut
        assert missing_bytes(whole[:cut]) == expected


@given(st.binary(min_size=1, max_size=2_000))
def test_junk_is_waited_for_or_handed_over_but_never_a_failure(data: bytes) -> None:
    missing = missing_bytes(data)

    assert missing is None or 0 <= missing <= MOST_BUFFERED


def test_a_client_that_hung_up_is_handed_over() -> None:
    assert missing_bytes(b"") == 0


@pytest.mark.parametrize(
    "data",
    [
        HEAD % 1_000_000,
        HEAD % 999_999_999,
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
        b"A" * MOST_BUFFERED,
        HEAD % 10_000_000_000,
        b"POST / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n",
    ],
    ids=["large", "absurd", "chunked", "expecting", "endless-head", "ten-digits", "no-number"],
)
def test_what_no_buffer_can_hold_is_read_by_a_thread_of_its_own(data: bytes) -> None:
    assert missing_bytes(data) is None


@pytest.mark.parametrize("zeros", ["0", "0" * 9, "0" * 5_000])
def test_a_length_is_as_long_however_many_zeros_it_begins_with(zeros: str) -> None:
    data = f"POST / HTTP/1.1\r\nContent-Length: {zeros}100\r\n\r\n".encode()

    assert missing_bytes(data) == 100
    assert missing_bytes(data + b"x" * 100) == 0
