"""Find the end of a request. Only its length is read here; gunicorn's parser does the rest."""

import re
from collections.abc import Callable
from enum import Enum, auto

# A request line and header fields together; honest senders stay far below.
MOST_HEAD = 65_536
# A chunk's size and extensions, and the fields after the last chunk.
MOST_CHUNK_LINE = 8_190
_END = b"\r\n\r\n"
# Leading zeros do not count: gunicorn reads 0000000000100 as a hundred bytes.
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
    """What to do with the part of a request that has arrived."""

    WAIT = auto()
    WHOLE = auto()
    # Answer now and stop reading: the length is too large, or unknown.
    EARLY = auto()
    HEAD_TOO_LARGE = auto()
    BODY_TOO_LARGE = auto()


class Framing:
    """The progress of one request. Each byte is examined once, however slowly they arrive.

    ``most_body`` returns for a head how many bytes of body to wait for.
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
        """Skip a binary PROXY protocol header before the first request; False: incomplete."""
        if not data.startswith(_PROXY_V2[: len(data)]):
            return True
        if len(data) < _PROXY_V2_HEAD:
            return False
        self._begin = _PROXY_V2_HEAD + int.from_bytes(data[14:16], "big")
        return len(data) >= self._begin

    def look(self, data: bytearray) -> Outcome:
        """Examine ``data``: all of the request that has arrived, and perhaps part of the next."""
        if not self.head:
            outcome = self._look_for_head(data)
            if outcome is not Outcome.WHOLE:
                return outcome
        if self._chunk_at and not self.end:
            return self._look_for_last_chunk(data)
        return Outcome.WHOLE if len(data) >= self.end else Outcome.WAIT

    def _look_for_head(self, data: bytearray) -> Outcome:
        """WHOLE: the head is complete, and the body's length is known, or that it is chunked."""
        at = data.find(_END, self._begin)
        if at < 0:
            if len(data) - self._begin > MOST_HEAD:
                return Outcome.HEAD_TOO_LARGE
            # A line ends in a bare LF: the head will never end in the form that HTTP requires.
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
        """Look for the end of a chunked body. https://www.rfc-editor.org/rfc/rfc9112#section-7.1"""
        # Small chunks must not make a body take many times its size in memory.
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
        # The last chunk's line break may be the one before the empty line.
        at = data.find(_END, line_end)
        if at < 0:
            return Outcome.EARLY if len(data) - line_end > MOST_HEAD else Outcome.WAIT
        self.end = at + len(_END)
        return Outcome.WHOLE


def path_of(head: bytes) -> bytes:
    """Return the path in a request line, as written; empty when there is none."""
    words = head.removeprefix(b"\r\n").split(b"\r\n", 1)[0].split(b" ")
    target = words[1] if len(words) == 3 else b""
    if not target.startswith(b"/"):
        target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
    return target.partition(b"?")[0]


def _length(head: bytes) -> int | None:
    """Return the length of the body; None: chunked, or unknown."""
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
