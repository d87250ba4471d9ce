"""Where does a request end? Only its length is read here; gunicorn's parser judges the rest."""

import re
from collections.abc import Callable
from enum import Enum, auto

# A request line and header fields together; no honest sender comes near it.
MOST_HEAD = 65_536
# A chunk's size and its extensions; the fields behind the last chunk.
MOST_CHUNK_LINE = 8_190
_END = b"\r\n\r\n"
# Leading zeros are no digits: gunicorn reads 0000000000100 as a hundred bytes.
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*0*(\d{1,9})[ \t]*\r\n", re.IGNORECASE)
_ANY_LENGTH = re.compile(rb"\r\ncontent-length", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n", re.IGNORECASE)
_ANY_CODING = re.compile(rb"\r\ntransfer-encoding", re.IGNORECASE)
_EXPECTS = re.compile(
    rb" HTTP/1\.[1-9]\r\n(?:.*\r\n)?expect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE | re.DOTALL
)
_PROXY_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
_PROXY_V2_HEAD = 16


class Outcome(Enum):
    """What to do with a request as far as it has arrived."""

    WAIT = auto()
    WHOLE = auto()
    # Answer it now, and read no further: its length is too much, or cannot be known.
    EARLY = auto()
    HEAD_TOO_LARGE = auto()
    BODY_TOO_LARGE = auto()


class Framing:
    """The progress of one request. Each byte is looked at once, however slowly they come.

    ``most_body`` says, given the head, how many bytes of body are waited for.
    """

    __slots__ = ("_begin", "_chunk_at", "_decoded", "_most", "_most_body", "end", "expects", "head")

    def __init__(self, most_body: Callable[[bytes], int]) -> None:
        self._most_body = most_body
        self._begin = 0
        self.head = b""
        self.end = 0
        # Whether the sender waits for "100 Continue" before it sends the body.
        self.expects = False
        self._chunk_at = 0
        self._decoded = 0
        self._most = 0

    def skip_proxy_header(self, data: bytearray) -> bool:
        """Leave out the binary PROXY protocol header before the first request; False: not there."""
        if not data.startswith(_PROXY_V2[: len(data)]):
            return True
        if len(data) < _PROXY_V2_HEAD:
            return False
        self._begin = _PROXY_V2_HEAD + int.from_bytes(data[14:16], "big")
        return len(data) >= self._begin

    def look(self, data: bytearray) -> Outcome:
        """``data`` is everything that has arrived of the request, and perhaps of the next one."""
        if not self.head:
            outcome = self._look_for_head(data)
            if outcome is not Outcome.WHOLE:
                return outcome
        if self._chunk_at and not self.end:
            return self._look_for_last_chunk(data)
        return Outcome.WHOLE if len(data) >= self.end else Outcome.WAIT

    def _look_for_head(self, data: bytearray) -> Outcome:
        """WHOLE: the head is there, and the length of the body, or that it is chunked, is known."""
        at = data.find(_END, self._begin)
        if at < 0:
            if len(data) - self._begin > MOST_HEAD:
                return Outcome.HEAD_TOO_LARGE
            # A line that ends in a bare LF: the head will never end as HTTP has it.
            has_bare_lf = data.count(b"\n", self._begin) != data.count(b"\r\n", self._begin)
            return Outcome.EARLY if has_bare_lf else Outcome.WAIT
        body_at = at + len(_END)
        self.head = head = bytes(data[self._begin : body_at])
        self._most = self._most_body(head)
        length = _length(head)
        if length is None and _CHUNKED.search(head) and not _ANY_LENGTH.search(head):
            self._chunk_at = body_at
        elif length is None or length > self._most:
            self.end = len(data)
            return Outcome.EARLY
        else:
            self.end = body_at + length
        self.expects = len(data) == body_at != self.end and bool(_EXPECTS.search(head))
        return Outcome.WHOLE

    def _look_for_last_chunk(self, data: bytearray) -> Outcome:
        """https://www.rfc-editor.org/rfc/rfc9112#section-7.1"""
        # However small its chunks are, a body is not kept at many times its size.
        if len(data) > 2 * self._most + MOST_HEAD:
            return Outcome.BODY_TOO_LARGE
        while self._chunk_at <= len(data):
            line_end = data.find(b"\r\n", self._chunk_at, self._chunk_at + MOST_CHUNK_LINE)
            if line_end < 0:
                is_long = len(data) - self._chunk_at >= MOST_CHUNK_LINE
                return Outcome.EARLY if is_long else Outcome.WAIT
            size = _chunk_size(data[self._chunk_at : line_end])
            if size is None:
                return Outcome.EARLY
            if size == 0:
                return self._look_for_trailers(data, line_end)
            self._decoded += size
            if self._decoded > self._most:
                return Outcome.BODY_TOO_LARGE
            self._chunk_at = line_end + 2 + size + 2
        return Outcome.WAIT

    def _look_for_trailers(self, data: bytearray, line_end: int) -> Outcome:
        # The line break of the last chunk may be the one before the empty line.
        at = data.find(_END, line_end)
        if at < 0:
            return Outcome.EARLY if len(data) - line_end > MOST_HEAD else Outcome.WAIT
        self.end = at + len(_END)
        return Outcome.WHOLE


def path_of(head: bytes) -> bytes:
    """The path that a request line names, as it is written; empty: it names none."""
    words = head.removeprefix(b"\r\n").split(b"\r\n", 1)[0].split(b" ")
    target = words[1] if len(words) == 3 else b""
    if not target.startswith(b"/"):
        target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
    return target.partition(b"?")[0]


def _length(head: bytes) -> int | None:
    """Of the body; None: chunked, or not to be told."""
    if _ANY_CODING.search(head):
        return None
    found = _LENGTH.findall(head)
    if len(found) != len(_ANY_LENGTH.findall(head)) or len(found) > 1:
        return None
    return int(found[0]) if found else 0


def _chunk_size(line: bytearray) -> int | None:
    digits = line.partition(b";")[0].rstrip(b" \t")
    if not digits or len(digits) > 8 or digits.strip(b"0123456789abcdefABCDEF"):
        return None
    return int(digits, 16)
