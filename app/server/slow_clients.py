"""gunicorn's threaded worker, in which a request gets a thread only once it has arrived."""

# gunicorn gives a connection a thread before its request arrives, for as long as single bytes
# trickle in or out. Here one poller receives all requests and sends answers to slow readers, and
# threads do only the work in between.

import errno
import functools
import selectors
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from gunicorn.http import RequestParser
from gunicorn.http.errors import (
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)
from gunicorn.sock import ssl_context
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from app.server.framing import Framing, Outcome, path_of
from app.server.raw_http import raw_problem
from app.server.thread_lanes import (
    INTAKE,
    PEOPLE,
    QUEUE_SECONDS,
    Lane,
    Queue,
    lane_of,
    make_queues,
)
from app.server.wire import MOST_UNSENT, SEND_SECONDS, Wire
from app.web.parsing import MAX_BODY_BYTES
from app.web.problems import RETRY_SECONDS, Problem, unreadable

# Seconds from a request's first byte until it must be complete. A long request gets more time while
# it arrives fast. gunicorn's `keepalive` bounds the time without any byte.
READ_SECONDS = 10.0
LEAST_READ_PER_SECOND = 131_072
# Bytes of all requests and answers kept for slow clients.
MOST_HELD = 67_108_864
# Requests up to this size never wait for memory that others hold.
SMALL = 65_536
# How long and how much a client may send before it closes a finished connection: seconds of
# silence, seconds in all, bytes.
LINGER_SECONDS = 2.0
MOST_LINGER_SECONDS = 15.0
MOST_DISCARDED = 16_777_216
SWEEP_SECONDS = 0.25
# The switch interval while requests outside the intake are served: they write long answers, and a
# callback's threads would wait for each of them.
SHARING_SECONDS = 0.002


class Connection(TConn):  # type: ignore[misc]
    """A client's connection, and how much of its request has arrived."""

    sock: Wire
    parser: Any

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.data_ready = True
        self.lane: Lane = PEOPLE
        self.framing: Framing | None = None
        # Its place in the poller; None: a thread has it.
        self.place: Connections | None = None
        self.began = 0.0
        # Bytes that count towards `MOST_HELD`.
        self.held = 0
        self.discarded = 0
        self.stays = False

    def init(self) -> None:
        """Parse HTTP/1 only, from the received bytes."""
        if self.parser is None:
            self.initialized = True
            self.parser = RequestParser(self.cfg, self.sock, self.client)

    def end_request(self) -> None:
        self.framing = None
        self.sock.end_request()
        if self.parser is not None:
            # The unread rest of the body is not expected on the connection.
            self.parser.mesg = None
            self.parser.unreader.take_buffered()

    def cost(self, now: float) -> float:
        """Return bytes times seconds: how much this client's slowness costs others."""
        return self.held * (now - self.began)


class Connections:
    """Connections in the order of their arrival; any of them may leave."""

    def __init__(self) -> None:
        self._conns: dict[Connection, None] = {}

    def add(self, conn: Connection) -> None:
        self._conns[conn] = None
        conn.place = self

    def remove(self, conn: Connection) -> None:
        del self._conns[conn]
        conn.place = None

    def __iter__(self) -> Iterator[Connection]:
        return iter(self._conns)

    def __len__(self) -> int:
        return len(self._conns)

    def __getitem__(self, place: int) -> Connection:
        """Return the first connection, the only one that gunicorn asks for."""
        return next(iter(self._conns))

    def late(self, now: float) -> Iterator[Connection]:
        """Yield the connections from the first on whose time is over; each must leave."""
        while self._conns and self[0].timeout <= now:
            yield self[0]


class SlowClientWorker(ThreadWorker):  # type: ignore[misc]
    """The threaded worker. Its threads serve requests that have arrived, each in its lane."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for listener in self.sockets:
            # The kernel keeps no more of an unread answer; accepted connections inherit this.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MOST_UNSENT)
        # Looking up a gunicorn setting takes longer than a system call.
        self._keepalive: int = self.cfg.keepalive
        self._tls = tls_context(self.cfg)
        # Between requests, before a first one, within one, while the answer is read, and finished.
        self.keepalived_conns = Connections()
        self.pending_conns = Connections()
        self._reading = Connections()
        self._sending = Connections()
        self._over = Connections()
        self._in_threads: set[Connection] = set()
        self._people = 0
        self._usual_switch_seconds = sys.getswitchinterval()
        self._held = 0
        self._swept_at = 0.0

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """Return gunicorn's own pool, which serves the intake."""
        pool = ThreadPoolExecutor(self.cfg.threads, INTAKE.name)
        self._queues = make_queues(self.cfg.threads, pool)
        return pool

    def run(self) -> None:
        try:
            super().run()
        finally:
            for conn in list(self._in_threads):
                conn.sock.abort()
            for queue in self._queues.values():
                queue.pool.shutdown(wait=False)

    # Reading.

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection. At the limit the longest idle connection is dropped."""
        if self.nr_conns >= self.worker_connections - 1:
            self._drop_one()
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ECONNABORTED):
                return
            raise
        self.nr_conns += 1
        client.setblocking(False)
        wire = Wire(self._tls(client) if self._tls else client)
        conn = Connection(self.cfg, wire, address, listener.getsockname())
        received = wire.receive()
        if received:
            self._look(conn)
        elif received == 0:
            self._hang_up(conn)
        else:
            self.keep(conn, self.pending_conns)

    def keep(self, conn: Connection, place: Connections) -> None:
        """Wait for a request that has not begun."""
        conn.timeout = time.monotonic() + self._keepalive
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)
        self._watch(conn, place, selectors.EVENT_READ, self._on_readable)

    def _watch(
        self,
        conn: Connection,
        place: Connections,
        event: int,
        back: Callable[[Connection, socket.socket], None],
    ) -> None:
        place.add(conn)
        self.poller.register(conn.sock.raw, event, partial(back, conn))

    def _unwatch(self, conn: Connection) -> None:
        if conn.place is not None:
            conn.place.remove(conn)
            self.poller.unregister(conn.sock.raw)

    def _on_readable(self, conn: Connection, _sock: socket.socket) -> None:
        # Serving one of several readable connections may have dropped others of them.
        if conn.place is not None:
            self._receive(conn)

    def _receive(self, conn: Connection) -> None:
        received = conn.sock.receive()
        if received:
            self._look(conn)
        elif received == 0:
            self._drop(conn)

    def _look(self, conn: Connection) -> None:
        """Serve the request if it has arrived, or wait for more of it, without a thread."""
        arrived = conn.sock.arrived
        framing = conn.framing
        if framing is None:
            framing = conn.framing = Framing(partial(self._most_body, conn))
            conn.began = time.monotonic()
            conn.lane = PEOPLE
        if self._has_proxy_header(conn) and not framing.skip_proxy_header(arrived):
            return self._wait_for_more(conn)
        outcome = framing.look(arrived)
        if outcome is Outcome.WAIT:
            return self._wait_for_more(conn)
        self._unwatch(conn)
        if outcome in _TOO_LARGE:
            return self.refuse(conn, _TOO_LARGE[outcome](arrived))
        is_whole = outcome is Outcome.WHOLE
        data = conn.sock.begin_request(framing.end if is_whole else len(arrived), is_whole=is_whole)
        self._hold(conn, len(data))
        if len(data) > SMALL and self._held > MOST_HELD:
            return self.refuse(conn, too_busy())
        return self.serve_arrived(conn, data)

    def _has_proxy_header(self, conn: Connection) -> bool:
        return self.cfg.proxy_protocol != "off" and conn.parser is None

    def _wait_for_more(self, conn: Connection) -> None:
        if conn.place is None:
            self._watch(conn, self._reading, selectors.EVENT_READ, self._on_readable)
        elif conn.place is not self._reading:
            conn.place.remove(conn)
            self._reading.add(conn)
        framing = conn.framing
        if framing is not None and framing.expects:
            framing.expects = False
            quiet(lambda: conn.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n"))
        self._hold(conn, len(conn.sock.arrived))

    def _most_body(self, conn: Connection, head: bytes) -> int:
        """Return how much of a body to wait for. A longer body is answered without reading it."""
        conn.lane = lane_of(path_of(head))
        if conn.lane is INTAKE:
            return int(self.app.service.configuration.web.max_callback_bytes)
        return MAX_BODY_BYTES

    # Serving.

    def serve_arrived(self, conn: Connection, _data: bytes) -> None:
        """Give a request a thread of its lane, or let it wait for one, or refuse it."""
        queue = self._queues[conn.lane]
        if queue.is_free:
            self._start(queue, conn)
        elif queue.may_wait:
            conn.timeout = time.monotonic() + QUEUE_SECONDS
            queue.waiting.append(conn)
        else:
            self.refuse(conn, too_busy())

    def _start(self, queue: Queue, conn: Connection) -> None:
        queue.free -= 1
        self._in_threads.add(conn)
        if queue.lane is not INTAKE:
            self._share_interpreter(1)
        done = queue.pool.submit(self.handle, conn)
        done.add_done_callback(lambda end: self.method_queue.defer(self._end, queue, conn, end))

    def _end(self, queue: Queue, conn: Connection, end: Any) -> None:
        queue.free += 1
        self._in_threads.discard(conn)
        if queue.lane is not INTAKE:
            self._share_interpreter(-1)
        if queue.waiting:
            self._start(queue, queue.waiting.popleft())
        self.finish_request(conn, end)

    def _share_interpreter(self, more: int) -> None:
        if self._people == 0:
            self._usual_switch_seconds = sys.getswitchinterval()
            sys.setswitchinterval(min(SHARING_SECONDS, self._usual_switch_seconds))
        self._people += more
        if self._people == 0:
            sys.setswitchinterval(self._usual_switch_seconds)

    def handle_request(self, req: Any, conn: Connection) -> bool:
        # The poller has already sent it, where the body is wanted.
        req._expected_100_continue = False
        if not conn.sock.is_whole:
            req.force_close()
        return bool(super().handle_request(req, conn))

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        """Override gunicorn, which would read the body's rest, or close after its answer."""
        return keepalive and conn.sock.is_whole

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Refuse a request that is not HTTP like any other error; the application never sees it."""
        is_ours = isinstance(exc, InvalidResponseHeader | InvalidResponseHeaderName)
        if is_ours or not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
        else:
            # The start of the next request is unknown.
            answer = raw_problem(unreadable(exc), stays=False)
            quiet(lambda: write_nonblock(client, answer))

    # Answering.

    def refuse(self, conn: Connection, problem: Problem) -> None:
        """Answer without a thread, and close."""
        quiet(lambda: conn.sock.sendall(raw_problem(problem, stays=False)))
        self.answered(conn, stays=False)

    def finish_request(self, conn: Connection, end: Any) -> None:
        self.answered(conn, stays=succeeded(end))

    def answered(self, conn: Connection, *, stays: bool) -> None:
        """Send the rest of an answer, then wait for the next request or close."""
        conn.end_request()
        wire = conn.sock
        self._hold(conn, len(wire.unsent))
        if wire.is_broken:
            self._hang_up(conn)
        elif wire.unsent:
            conn.stays, conn.began = stays, time.monotonic()
            conn.timeout = conn.began + SEND_SECONDS
            self._watch(conn, self._sending, selectors.EVENT_WRITE, self._on_writable)
        elif not stays:
            self.let_go(conn)
        elif wire.arrived:
            # This client does not wait for our answers.
            self._look(conn)
        else:
            self.keep(conn, self.keepalived_conns)

    def _on_writable(self, conn: Connection, _sock: socket.socket) -> None:
        if conn.place is None:
            return
        try:
            is_sent = conn.sock.flush()
        except OSError:
            self._drop(conn)
            return
        if is_sent:
            self._unwatch(conn)
            self.answered(conn, stays=conn.stays)

    def let_go(self, conn: Connection) -> None:
        """End our side, and read until the client has ended its own.

        Closing a socket with unread bytes would destroy an answer that is still being sent.
        """
        try:
            conn.sock.end_sending()
        except OSError:
            return self._hang_up(conn)
        conn.sock.arrived.clear()
        conn.began = time.monotonic()
        conn.timeout = conn.began + LINGER_SECONDS
        return self._watch(conn, self._over, selectors.EVENT_READ, self._discard)

    def _discard(self, conn: Connection, _sock: socket.socket) -> None:
        if conn.place is None:
            return
        received = conn.sock.discard()
        conn.discarded += received or 0
        if received == 0 or conn.discarded > MOST_DISCARDED:
            self._drop(conn)
            return
        self._over.remove(conn)
        self._over.add(conn)
        last = conn.began + MOST_LINGER_SECONDS
        conn.timeout = min(time.monotonic() + LINGER_SECONDS, last)

    # Clients that are slow, or too many.

    def murder_keepalived(self, force: bool = False) -> None:
        for conn in self.keepalived_conns.late(float("inf") if force else time.monotonic()):
            self._drop(conn)

    def murder_pending(self) -> None:
        """Drop connections whose time is over; called after every wait of the poller."""
        now = time.monotonic()
        if now < self._swept_at + SWEEP_SECONDS:
            return
        self._swept_at = now
        for place in (self.pending_conns, self._sending, self._over):
            for conn in place.late(now):
                self._drop(conn)
        for conn in [conn for conn in self._reading if is_too_slow(conn, now)]:
            self._drop(conn)
        for queue in self._queues.values():
            while queue.waiting and queue.waiting[0].timeout <= now:
                self.refuse(queue.waiting.popleft(), too_busy())

    def _cap_keepalive(self, deadline: float) -> None:
        """Let a stopping worker wait for requests in transit, but not for idle connections."""
        for place in (self.keepalived_conns, self.pending_conns):
            for conn in place:
                conn.timeout = min(conn.timeout, deadline)

    def _hold(self, conn: Connection, count: int) -> None:
        """Count a connection's bytes; above the limit drop those that have cost most."""
        more = count - conn.held
        self._held += more
        conn.held = count
        if more > 0 and self._held > MOST_HELD:
            now = time.monotonic()
            waiting = [*self._reading, *self._sending]
            for slow in sorted(waiting, key=lambda conn: conn.cost(now), reverse=True):
                if self._held <= MOST_HELD // 2:
                    break
                self._drop(slow)

    def _drop_one(self) -> None:
        for place in (self._over, self.pending_conns, self._reading, self.keepalived_conns):
            if place:
                return self._drop(place[0])
        return None

    def _drop(self, conn: Connection) -> None:
        """Close a connection that waits in the poller."""
        self._unwatch(conn)
        self._hang_up(conn)

    def _hang_up(self, conn: Connection) -> None:
        self._hold(conn, 0)
        self.nr_conns -= 1
        conn.close()


def tls_context(cfg: Any) -> Callable[[socket.socket], ssl.SSLSocket] | None:
    """Return how to wrap a connection in TLS; None: it speaks plain HTTP.

    The handshake happens with the first bytes that are received.
    """
    if not cfg.is_ssl:
        return None
    context = ssl_context(cfg)
    context.set_alpn_protocols(["http/1.1"])
    return functools.partial(
        context.wrap_socket,
        server_side=True,
        do_handshake_on_connect=False,
        suppress_ragged_eofs=cfg.suppress_ragged_eofs,
    )


def is_too_slow(conn: Connection, now: float) -> bool:
    earned = len(conn.sock.arrived) / LEAST_READ_PER_SECOND
    return now > conn.began + READ_SECONDS + earned


def succeeded(end: Any) -> bool:
    """Whether a request's thread reported that another request may follow."""
    try:
        return not end.cancelled() and end.result() is True
    except Exception:
        return False


def too_busy() -> Problem:
    detail = "Too many such requests are being answered. Nothing was done."
    return Problem("busy", detail, headers={"Retry-After": str(RETRY_SECONDS)})


def _head_too_large(arrived: bytearray) -> Problem:
    if arrived.find(b"\r\n") < 0:
        return unreadable(LimitRequestLine(len(arrived), len(arrived)))
    return unreadable(LimitRequestHeaders("the head"))


_TOO_LARGE: dict[Outcome, Callable[[bytearray], Problem]] = {
    Outcome.HEAD_TOO_LARGE: _head_too_large,
    Outcome.BODY_TOO_LARGE: lambda _arrived: Problem("too-large", "The body is too large."),
}


def quiet(act: Callable[[], object]) -> None:
    """Ignore errors of a connection that is already closed."""
    try:
        act()
    except OSError:
        return
