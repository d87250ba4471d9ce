"""How is the worker run inside a test, over TCP, a Unix socket or TLS?"""

import contextlib
import http.client
import logging
import os
import selectors
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gunicorn.config import Config

from app.server.slow_clients import SlowClientWorker

TRANSPORTS = ("tcp", "unix", "tls")
MAX_CALLBACK_BYTES = 4_194_304


@dataclass
class Serving:
    """A worker that runs, and where it listens."""

    worker: SlowClientWorker
    address: Any
    context: ssl.SSLContext | None

    def connect(self, receive_buffer: int = 0) -> socket.socket:
        family = socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET
        raw = socket.socket(family)
        raw.settimeout(10)
        if receive_buffer:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        raw.connect(self.address)
        return self.context.wrap_socket(raw) if self.context else raw

    def ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        with self.connect() as client:
            client.sendall(request)
            return read_answer(client)


def read_answer(client: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """One answer: its status, headers by lower-case name, and body. Raises OSError, HTTPException.

    Nothing beyond it is read.
    """
    answer = http.client.HTTPResponse(_Bytewise(client))  # type: ignore[arg-type]
    answer.begin()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    return answer.status, headers, answer.read()


class _Bytewise:
    """A socket of which `HTTPResponse` reads nothing ahead."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client

    def makefile(self, _mode: str) -> Any:
        return _Unbuffered(self._client)


class _Unbuffered:
    def __init__(self, client: socket.socket) -> None:
        self._client = client

    def read(self, size: int = -1) -> bytes:
        data = b""
        while size < 0 or len(data) < size:
            more = self._client.recv(65_536 if size < 0 else size - len(data))
            if not more:
                break
            data += more
        return data

    def readline(self, limit: int = -1) -> bytes:
        line = b""
        while not line.endswith(b"\n") and len(line) != limit:
            byte = self._client.recv(1)
            if not byte:
                break
            line += byte
        return line

    def flush(self) -> None: ...

    def close(self) -> None: ...


@contextlib.contextmanager
def serving(
    app: Any,
    transport: str,
    folder: Path,
    kind: type[SlowClientWorker] = SlowClientWorker,
    **settings: Any,
) -> Iterator[Serving]:
    """Run a worker over a WSGI application, which has a little of a service."""
    cfg = Config()
    context = None
    if transport == "tls":
        settings |= certificate(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for name, value in {"keepalive": 10, "threads": 4, "graceful_timeout": 5, **settings}.items():
        cfg.set(name, value)
    if transport == "unix":
        address: Any = str(folder / "vouch.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(address)
        listener.listen(64)
    else:
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        address = listener.getsockname()
    web = SimpleNamespace(max_callback_bytes=MAX_CALLBACK_BYTES)
    service = SimpleNamespace(configuration=SimpleNamespace(web=web, sources={}))
    host = SimpleNamespace(service=service, gathers_callbacks=False)
    log = logging.getLogger("gunicorn.test")
    log.access = lambda *_: None  # type: ignore[attr-defined]
    worker = kind(1, os.getppid(), [listener], host, 30, cfg, log)
    worker.wsgi = app
    worker.tpool = worker.get_thread_pool()
    worker.poller = selectors.DefaultSelector()
    worker.method_queue.init()
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield Serving(worker, address, context)
    finally:
        worker.alive = False
        thread.join(15)
        for conn in list(worker._in_threads):
            conn.sock.close()  # the end of the process does it
        worker.tmp.close()
    assert not thread.is_alive()


def certificate(folder: Path) -> dict[str, str]:
    """gunicorn's settings for a certificate of our own."""
    key, file = folder / "key.pem", folder / "certificate.pem"
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    made = ("-keyout", str(key), "-out", str(file), "-subj", "/CN=localhost", "-days", "2")
    subprocess.run(["openssl", "req", "-x509", *kind, *made], check=True, capture_output=True)
    return {"keyfile": str(key), "certfile": str(file)}
