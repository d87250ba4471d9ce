"""How is a slow client kept from holding what the others need?

gunicorn's threaded worker gives a connection a thread before its request is there, and lets it keep
that for as long as a byte comes now and then: sixteen such clients, and nobody is served. Here a
request is handed over when it is whole, and until then it costs a place in the poller.
"""

import re
import selectors
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from gunicorn.http.errors import (
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    ParseException,
)
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from app.web.problems import unreadable
from app.web.raw import raw_problem

# Seconds from a request's first byte until it must be whole; gunicorn's `keepalive` is how long
# a connection may stay without a byte.
READ_SECONDS = 10.0
# A body that no buffer holds is read by a thread of the few that are set aside for them.
LARGE_SECONDS = 30.0
MOST_BUFFERED = 65_536
# Room for the longest answer that needs no key, so that no thread waits for a client to read it.
LONGEST_ANSWER = 200_000
# Seconds for a client to close its side of a connection that is over.
LINGER_SECONDS = 2.0
# The zeros are no digits: gunicorn reads 0000000000100 as a hundred bytes.
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*0*(\d{1,9})[ \t]*\r\n", re.IGNORECASE)
_ANY_LENGTH = re.compile(rb"\r\ncontent-length", re.IGNORECASE)
_OTHER_LENGTH = re.compile(rb"\r\n(?:transfer-encoding|expect)[ \t]*:", re.IGNORECASE)


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """The threaded worker, whose threads serve requests that have arrived."""

    def init_process(self) -> None:
        # A setting that is looked up takes longer than a system call.
        self._keepalive: int = self.cfg.keepalive
        self._is_ssl: bool = self.cfg.is_ssl
        # When the first byte of a request came, and how many there were at the last look.
        self._began: dict[TConn, float] = {}
        self._known: dict[TConn, int] = {}
        self._large: dict[TConn, float] = {}
        # Those that are over, and until when their clients are waited for.
        self._over: dict[TConn, float] = {}
        for listener in self.sockets:
            # The connections that it accepts begin with the same.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST_ANSWER)
        self._large_pool = ThreadPoolExecutor(max(2, self.cfg.threads // 2), "large")
        super().init_process()

    def accept(self, listener: socket.socket) -> None:
        """When there are as many connections as there may be, the longest idle one goes."""
        if self.nr_conns >= self.worker_connections - 1:
            self._drop_one()
        super().accept(listener)

    def enqueue_req(self, conn: TConn) -> None:
        if self._is_ssl:
            return super().enqueue_req(conn)  # type: ignore[no-any-return]
        # Of a client that does not wait for our answer, its next request may have begun.
        ahead, arrived = read_ahead(conn), peek(conn.sock)
        data = ahead + (arrived or b"")
        missing = 1 if arrived is None and not ahead else missing_bytes(data)
        if missing == 0 or arrived == b"":
            self._forget(conn)
            return self.serve_whole(conn, data)
        if missing is None:
            return self._enqueue_large(conn)
        return self._wait_for_more(conn, len(ahead), len(data), missing)

    def serve_whole(self, conn: TConn, _data: bytes) -> None:
        """Hand over a request that has arrived to its end, or a connection that did."""
        super().enqueue_req(conn)

    def finish_request(self, conn: TConn, end: Any) -> None:
        """gunicorn would wait here for a client to hang up, and everybody with it."""
        if is_over(end):
            self.let_go(conn)
        else:
            super().finish_request(conn, end)

    def let_go(self, conn: TConn) -> None:
        """Say that nothing more will come, and read on until the client has said so as well.

        A socket that is closed with bytes unread takes back an answer that is still on its way.
        """
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            return self._hang_up(conn)
        self._over[conn] = time.monotonic() + LINGER_SECONDS
        conn.sock.setblocking(False)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._drain, conn))
        return None

    def keep(self, conn: TConn) -> None:
        """Wait for the next request on a connection that gunicorn's parser need not have seen."""
        conn.timeout = time.monotonic() + self._keepalive
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)
        self.keepalived_conns.append(conn)
        back = partial(self.on_client_socket_readable, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, back)

    def run(self) -> None:
        try:
            super().run()
        finally:
            for conn in list(self._large):
                shut(conn.sock)
            self._large_pool.shutdown(wait=False)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """What is no HTTP never reaches the application, and is refused as everything else is."""
        is_ours = isinstance(exc, InvalidResponseHeader | InvalidResponseHeaderName)
        if is_ours or not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
        else:
            # Where the next request would begin is not known.
            answer = raw_problem(unreadable(exc), stays=False)
            quiet(lambda: write_nonblock(client, answer))

    def _cap_keepalive(self, deadline: float) -> None:
        """A stopping worker waits for what may be on its way, not for who only connected."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def murder_pending(self) -> None:
        now = time.monotonic()
        while self.pending_conns and self.pending_conns[0].timeout <= now:
            self._drop(self.pending_conns[0])

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        super().wait_for_and_dispatch_events(timeout)
        now = time.monotonic()
        while self._began and next(iter(self._began.values())) < now - READ_SECONDS:
            self._drop(next(iter(self._began)))
        for conn in [conn for conn, until in self._large.items() if until < now]:
            shut(conn.sock)  # its thread finds out
        while self._over and next(iter(self._over.values())) < now:
            self._end(next(iter(self._over)))

    def _wait_for_more(self, conn: TConn, ahead: int, known: int, missing: int) -> None:
        """Come back when that many bytes more are there, without a thread."""
        if known:
            self._began.setdefault(conn, time.monotonic())
            if self._known.get(conn) == known:
                return self._hang_up(conn)  # woken, and nothing new: the client hung up
            self._known[conn] = known
            receive_from(conn.sock, known - ahead + missing)
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + self._keepalive
        self.pending_conns.append(conn)
        back = partial(self.on_pending_socket_readable, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, back)
        return None

    # Of connections that were told to be readable together, the first may have had others dropped.

    def on_pending_socket_readable(self, conn: TConn, client: socket.socket) -> None:
        if conn in self.pending_conns:
            conn.data_ready = True
            super().on_pending_socket_readable(conn, client)

    def on_client_socket_readable(self, conn: TConn, client: socket.socket) -> None:
        if conn in self.keepalived_conns:
            super().on_client_socket_readable(conn, client)

    def _enqueue_large(self, conn: TConn) -> None:
        self._forget(conn)
        self._large[conn] = time.monotonic() + LARGE_SECONDS
        conn.data_ready = True
        done = self._large_pool.submit(self.handle, conn)
        done.add_done_callback(lambda end: self.method_queue.defer(self._end_large, conn, end))

    def _end_large(self, conn: TConn, end: Any) -> None:
        self._large.pop(conn, None)
        self.finish_request(conn, end)

    def _drain(self, conn: TConn, _sock: socket.socket) -> None:
        if conn in self._over and not discarded(conn.sock):
            self._end(conn)

    def _end(self, conn: TConn) -> None:
        del self._over[conn]
        self.poller.unregister(conn.sock)
        self._hang_up(conn)

    def _drop_one(self) -> None:
        if self._over:
            return self._end(next(iter(self._over)))
        for idle in (self.pending_conns, self.keepalived_conns):
            if idle:
                return self._drop(idle[0])
        return None

    def _drop(self, conn: TConn) -> None:
        """Close a connection that waits in the poller."""
        for idle in (self.pending_conns, self.keepalived_conns):
            if conn in idle:
                idle.remove(conn)
                self.poller.unregister(conn.sock)
                self._hang_up(conn)

    def _hang_up(self, conn: TConn) -> None:
        self._forget(conn)
        self.nr_conns -= 1
        conn.close()

    def _forget(self, conn: TConn) -> None:
        """Wait no longer for the rest of a request."""
        self._began.pop(conn, None)
        if self._known.pop(conn, None) is not None:
            receive_from(conn.sock, 1)


def missing_bytes(data: bytes) -> int | None:
    """How many bytes a request still lacks, at least; None: it is too large to wait for here."""
    if not data:
        return 0  # the client hung up
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return 1 if len(data) < MOST_BUFFERED else None
    head = data[: end + 4]
    if _OTHER_LENGTH.search(head):
        return None
    length = _LENGTH.search(head)
    if length is None and _ANY_LENGTH.search(head):
        return None
    missing = len(head) + (int(length[1]) if length else 0) - len(data)
    return max(0, missing) if len(data) + missing <= MOST_BUFFERED else None


def is_over(end: Any) -> bool:
    """Whether nothing more is to be read, and nothing went wrong either."""
    try:
        return end.cancelled() or not end.result()
    except Exception:
        return False


def read_ahead(conn: TConn) -> bytes:
    """What was read from a socket beyond the request that it was read for."""
    return conn.parser.unreader.buf.getvalue() if conn.initialized else b""


def peek(sock: socket.socket) -> bytes | None:
    """What has arrived and was not read; None: nothing yet. Empty: the client hung up."""
    try:
        return sock.recv(MOST_BUFFERED, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def discarded(sock: socket.socket) -> bool:
    """Read what is there; False: the client hung up."""
    try:
        return sock.recv(MOST_BUFFERED, socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def receive_from(sock: socket.socket, count: int) -> None:
    """Let a socket count as readable from so many bytes on."""
    quiet(lambda: sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count))


def shut(sock: socket.socket) -> None:
    quiet(lambda: sock.shutdown(socket.SHUT_RDWR))


def quiet(act: Callable[[], object]) -> None:
    """Of a connection that is gone already nothing more is asked."""
    try:
        act()
    except OSError:
        return
