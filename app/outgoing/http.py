"""The only way to make HTTP calls to others: bounded in time and size, without redirects."""

# Errors never name the address, which may hold a secret.

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import requests
from requests.utils import get_environ_proxies

from app import __version__
from app.platforms.kit.requests import Request, Response

USER_AGENT = f"vouch/{__version__}"
CONNECT_SECONDS = 3.05
# Between two reads, and for the whole response.
READ_SECONDS = 10.0
TOTAL_SECONDS = 30.0
MOST_BYTES = 65_536
_CHUNK_BYTES = 16_384


class NoResponse(Exception):  # noqa: N818 -- what happened, not whose fault it is
    """There is no usable response. ``reason`` is the kind of failure, for logs and people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Client:
    """Keeps connections open between calls. One thread uses it at a time."""

    def __init__(self, *, uses_proxies: bool = True) -> None:
        self._uses_proxies = uses_proxies
        self._session = requests.Session()
        # Otherwise a .netrc file would replace the Authorization header.
        self._session.trust_env = False
        self._verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")

    def send(
        self,
        request: Request,
        *,
        read_seconds: float = READ_SECONDS,
        total_seconds: float = TOTAL_SECONDS,
        most_bytes: int = MOST_BYTES,
        reads_body: bool = True,
    ) -> Response:
        """Send a request and read the response. Raises `NoResponse`.

        A redirect is returned as it is: only the operator decides where we call.
        """
        deadline = time.monotonic() + total_seconds
        with self.stream(request, read_seconds=min(read_seconds, total_seconds)) as (head, chunks):
            if not reads_body:
                return head
            return replace(head, body=_whole(chunks, most_bytes, deadline))

    @contextmanager
    def stream(
        self, request: Request, *, read_seconds: float = READ_SECONDS
    ) -> Iterator[tuple[Response, Iterator[bytes]]]:
        """Send a request; the response without its body, and the body in chunks.

        Raises `NoResponse`, also while the chunks are read. The caller bounds them.
        """
        try:
            response = self._session.request(
                request.method,
                request.url,
                params=request.query or None,
                data=request.body or None,
                headers={"User-Agent": USER_AGENT, **request.headers},
                timeout=(CONNECT_SECONDS, read_seconds),
                allow_redirects=False,
                stream=True,
                proxies=get_environ_proxies(request.url) if self._uses_proxies else None,
                verify=self._verify or True,
            )
        # requests raises some plain errors for addresses that it cannot use.
        except (requests.RequestException, ValueError) as error:
            raise NoResponse(_kind(error)) from None
        headers = {name.lower(): value for name, value in response.headers.items()}
        with response:
            try:
                yield (
                    Response(response.status_code, headers, b""),
                    response.iter_content(_CHUNK_BYTES),
                )
            except requests.RequestException as error:
                raise NoResponse(_kind(error)) from None

    def close(self) -> None:
        self._session.close()


def send(
    request: Request,
    *,
    read_seconds: float = READ_SECONDS,
    total_seconds: float = TOTAL_SECONDS,
    most_bytes: int = MOST_BYTES,
    reads_body: bool = True,
) -> Response:
    """Send one request over a connection of its own. Raises `NoResponse`."""
    with closing(Client()) as client:
        return client.send(
            request,
            read_seconds=read_seconds,
            total_seconds=total_seconds,
            most_bytes=most_bytes,
            reads_body=reads_body,
        )


def _whole(chunks: Iterator[bytes], most_bytes: int, deadline: float) -> bytes:
    body = bytearray()
    # In chunks: the read time-out alone does not stop a server that sends single bytes slowly.
    for chunk in chunks:
        body += chunk
        if len(body) > most_bytes:
            raise NoResponse(f"more than {most_bytes} bytes")
        if time.monotonic() > deadline:
            raise NoResponse("Timeout")
    return bytes(body)


def _kind(error: Exception) -> str:
    """The name of the error. requests calls a time-out within the body a `ConnectionError`."""
    is_late = type(error) is requests.ConnectionError and "timed out" in str(error).lower()
    return "ReadTimeout" if is_late else type(error).__name__
