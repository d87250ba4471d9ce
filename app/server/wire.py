"""Replaces a connection's socket for gunicorn's parser and answers; reads never block."""

import contextlib
import errno
import select
import socket
import ssl
import time
from typing import BinaryIO

MOST_AT_ONCE = 65_536
# Unsent bytes of an answer that are kept for a slow client; a thread with more to send waits.
MOST_UNSENT = 262_144
# Seconds in all that a client may keep a thread waiting. Reading earns up to as many again.
SEND_SECONDS = 10.0
LEAST_SENT_PER_SECOND = 16_384
_NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Wire:
    """The received bytes and the bytes to be sent, in place of a socket.

    The worker's poller receives; a thread reads one complete request, and sends.
    """

    def __init__(self, raw: socket.socket) -> None:
        raw.setblocking(False)
        self.raw = raw
        self.arrived = bytearray()
        self.unsent = bytearray()
        # Whether the whole current request has arrived. Otherwise nothing may follow its answer.
        self.is_whole = True
        # Whether the client left or was given up.
        self.is_broken = False
        self._request = b""
        self._read = 0
        self._patience = SEND_SECONDS

    # For the poller.

    def receive(self) -> int | None:
        """Receive the available bytes; return how many. 0: the client closed; None: nothing yet."""
        try:
            data = self.raw.recv(MOST_AT_ONCE)
            # Bytes that TLS has already decrypted do not make the socket readable.
            while isinstance(self.raw, ssl.SSLSocket) and self.raw.pending():
                data += self.raw.recv(self.raw.pending())
        except _NOT_YET:
            return None
        except OSError:
            return 0
        self.arrived += data
        return len(data)

    def begin_request(self, length: int, *, is_whole: bool) -> bytes:
        """Let `recv` return this many of the received bytes, and no more."""
        self._request = bytes(self.arrived[:length])
        del self.arrived[:length]
        self._read = 0
        self.is_whole = is_whole
        self._patience = SEND_SECONDS
        return self._request

    def end_request(self) -> None:
        """Forget the request, including its unread rest."""
        self._request = b""

    def flush(self) -> bool:
        """Send as much as possible; False: something is left. Raises OSError."""
        while self.unsent:
            sent = self._send(self.unsent)
            if not sent:
                return False
            del self.unsent[:sent]
        return True

    def discard(self) -> int | None:
        """Like `receive`, but throw the bytes away; over TLS they are not decrypted."""
        try:
            return len(socket.socket.recv(self.raw, MOST_AT_ONCE))
        except BlockingIOError:
            return None
        except OSError:
            return 0

    def end_sending(self) -> None:
        """Tell the client that nothing more will come. Raises OSError."""
        if isinstance(self.raw, ssl.SSLSocket):
            # This sends our close_notify, and fails because the client's has not arrived.
            with contextlib.suppress(OSError, ValueError):
                self.raw.unwrap()
        socket.socket.shutdown(self.raw, socket.SHUT_WR)

    def abort(self) -> None:
        """Shut the connection down, so that a thread waiting for its client notices."""
        self.is_broken = True
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.raw, socket.SHUT_RDWR)

    # For a thread: the socket methods that gunicorn uses.

    def recv(self, size: int) -> bytes:
        data = self._request[self._read : self._read + size]
        self._read += len(data)
        return data

    def send(self, data: bytes) -> int:
        self.sendall(data)
        return len(data)

    def sendall(self, data: bytes) -> None:
        """Send, and keep a little that the client has not read yet.

        Raises OSError when the client reads too slowly, or has left.
        """
        try:
            if not self.unsent:
                data = data[self._send(data) :]
            self.unsent += data
            while not self.flush() and len(self.unsent) > MOST_UNSENT:
                self._wait_for_room()
        except OSError:
            self.is_broken = True
            raise

    def sendfile(self, file: BinaryIO, offset: int = 0, count: int | None = None) -> int:
        file.seek(offset)
        sent = 0
        while block := file.read(
            min(MOST_AT_ONCE, MOST_AT_ONCE if count is None else count - sent)
        ):
            self.sendall(block)
            sent += len(block)
        return sent

    def fileno(self) -> int:
        return self.raw.fileno()

    def shutdown(self, how: int) -> None:
        self.raw.shutdown(how)

    def close(self) -> None:
        self.is_broken = True
        self.raw.close()

    def gettimeout(self) -> float:
        return 0.0

    def settimeout(self, _seconds: float | None) -> None:
        """Do nothing: reads never block, and our own limit applies to sends."""

    def setblocking(self, _flag: bool) -> None:
        """Do nothing, like `settimeout`."""

    def _send(self, data: bytes | bytearray) -> int:
        try:
            sent = self.raw.send(data)
        except _NOT_YET:
            return 0
        self._patience = min(SEND_SECONDS, self._patience + sent / LEAST_SENT_PER_SECOND)
        return sent

    def _wait_for_room(self) -> None:
        began = time.monotonic()
        poll = select.poll()
        poll.register(self.raw, select.POLLOUT)
        poll.poll(max(0.0, self._patience) * 1_000)
        self._patience -= time.monotonic() - began
        if self._patience <= 0:
            raise BrokenPipeError(errno.EPIPE, "the client does not read")
