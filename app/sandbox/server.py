"""The sandbox's server and its threads."""

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, Self

from flask import Flask

from app.sandbox.books import Books
from app.sandbox.pushes import Pusher
from app.sandbox.settings import SandboxSettings
from app.sandbox.web import create_sandbox
from app.sandbox.wire import Wire

POLL_SECONDS = 0.02


class Listener(socketserver.ThreadingTCPServer):
    """One thread for each connection; all are ended and joined when the listener closes."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], app: Flask, closing: threading.Event) -> None:
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(address, partial(Wire, app, closing))

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        # Close without the usual shutdown(SHUT_WR), which would send a FIN before a reset.
        with self._open_lock:
            self._open.discard(request)
        self.close_request(request)

    def server_close(self) -> None:
        with self._open_lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        super().server_close()


class SandboxServer:
    """A sandbox Gameball on a loopback port, in threads of this process.

    Use `with SandboxServer(settings) as sandbox:`, and then `sandbox.url` and `sandbox.books`.
    """

    def __init__(
        self,
        settings: SandboxSettings | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        now: Callable[[], float] = time.time,
        seed: int | None = None,
    ) -> None:
        self.books = Books(settings, now, seed)
        self._address = (host, port)
        self._now = now
        self._closing = threading.Event()
        self._pusher: Pusher | None = None
        self._running: tuple[Listener, threading.Thread] | None = None

    @property
    def port(self) -> int:
        if self._running is None:
            return self._address[1]
        return self._running[0].server_address[1]

    @property
    def url(self) -> str:
        return f"http://{self._address[0]}:{self.port}"

    def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        self._closing.clear()
        app = create_sandbox(self.books, pause=self._closing.wait)
        listener = Listener(self._address, app, self._closing)
        thread = threading.Thread(target=listener.serve_forever, args=(POLL_SECONDS,))
        self._running = (listener, thread)
        thread.start()
        self._pusher = Pusher(self.books, self._now)
        self._pusher.start()

    def stop(self) -> None:
        """Stop listening, end every connection and wait for the threads. May be called twice."""
        if self._running is None:
            return
        listener, thread = self._running
        self._running = None
        self._closing.set()
        if self._pusher is not None:
            self._pusher.stop()
        listener.shutdown()
        thread.join()
        listener.server_close()

    def serve_forever(self) -> None:
        """Serve until `stop` is called from another thread, or until interrupted."""
        with contextlib.suppress(KeyboardInterrupt), self:
            self._closing.wait()

    def __enter__(self) -> Self:
        if self._running is None:
            self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
