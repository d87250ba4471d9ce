"""Send answers over HTTP/1.1, or fail to as a fault demands."""

import io
import re
import socket
import struct
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote

from flask import Flask
from werkzeug.wrappers import Response

# "<ending> <seconds>": from the gate to this module, never to the caller.
ENDING_HEADER = "X-Sandbox-Ending"
LENGTH = re.compile(r"[0-9]{1,8}", re.ASCII)
NO_LINGER = struct.pack("ii", 1, 0)


class Wire(BaseHTTPRequestHandler):
    """One connection, HTTP/1.1 with keep-alive, which Werkzeug's own server does not offer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, app: Flask, closing: threading.Event, *connection: Any) -> None:
        self._app = app
        self._closing = closing
        super().__init__(*connection)

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Log nothing: the books have the calls."""

    def respond(self) -> None:
        body = self._body()
        if body is not None:
            environ = environ_of(self, body)
            self._end(Response.from_app(self._app, environ, buffered=True))

    # The base class looks for one method per verb.
    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = respond  # noqa: N815

    def _body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not LENGTH.fullmatch(length):
            self.send_error(HTTPStatus.LENGTH_REQUIRED)
            self.close_connection = True
            return None
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            # The caller closed the connection early, so there was no call.
            self.close_connection = True
            return None
        return body

    def _end(self, response: Response) -> None:
        ending, _, seconds = response.headers.pop(ENDING_HEADER, "answer").partition(" ")
        self.close_connection = self.close_connection or ending != "answer"
        head, body = self._rendered(response)
        if ending == "hang":
            self._closing.wait(float(seconds))
        elif ending == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        elif ending == "truncate":
            self.wfile.write(head + body[: len(body) // 2])
        else:
            self.wfile.write(head + body)

    def _rendered(self, response: Response) -> tuple[bytes, bytes]:
        body = response.get_data()
        if self.command != "HEAD":
            response.headers["Content-Length"] = str(len(body))
        if self.close_connection:
            response.headers["Connection"] = "close"
        fields = [f"{name}: {value}" for name, value in response.headers]
        return "\r\n".join([f"HTTP/1.1 {response.status}", *fields, "", ""]).encode("latin-1"), body


def environ_of(call: BaseHTTPRequestHandler, body: bytes) -> dict[str, Any]:
    """Return the call's WSGI environment (PEP 3333)."""
    path, _, query = call.path.partition("?")
    headers = {name.upper().replace("-", "_"): value for name, value in call.headers.items()}
    return {f"HTTP_{name}": value for name, value in headers.items()} | {
        "REQUEST_METHOD": call.command,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(path, "latin-1"),
        "QUERY_STRING": query,
        "CONTENT_TYPE": headers.get("CONTENT_TYPE", ""),
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": "sandbox",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": call.request_version,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
