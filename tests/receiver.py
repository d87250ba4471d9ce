"""What stands on the other end of what we call?"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from app.domain.clock import utc_now
from app.platforms.kit.callback import Callback


@dataclass(kw_only=True)
class Receiver:
    """A service that answers every callback alike, and keeps what it was sent."""

    url: str
    status: int = 204
    body: bytes = b""
    received: list[tuple[str, Callback]] = field(default_factory=list)

    @property
    def callbacks(self) -> list[Callback]:
        return [callback for _, callback in self.received]


@contextmanager
def listening() -> Iterator[Receiver]:
    """A receiver on a port of its own, for as long as this lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            address = urlsplit(self.path)
            query = dict(parse_qsl(address.query))
            kept = Callback(
                method="POST", headers=headers, query=query, body=body, received_at=utc_now()
            )
            service.received.append((address.path, kept))
            self.send_response(service.status)
            self.send_header("Content-Length", str(len(service.body)))
            self.end_headers()
            self.wfile.write(service.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Quiet."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        service = Receiver(url=f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield service
        server.shutdown()
        thread.join()
