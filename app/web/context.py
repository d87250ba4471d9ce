"""How does a view reach the service, who is calling, and with what?"""

from collections.abc import Mapping
from functools import lru_cache
from typing import cast

from flask import current_app
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Request

from app.service import Service


def service() -> Service:
    return cast(Service, current_app.extensions["vouch"])


def lower_headers(request: Request) -> Mapping[str, str]:
    """Headers by lower-case name. Of one sent twice, WSGI has already joined the values."""
    headers = {
        _header(name): value for name, value in request.environ.items() if name.startswith("HTTP_")
    }
    headers["content-type"] = request.environ.get("CONTENT_TYPE", "")
    return headers


@lru_cache(maxsize=1024)
def _header(name: str) -> str:
    return name[5:].replace("_", "-").lower()


def client_address(request: Request, trusted_proxies: int) -> str:
    """The caller's address, believing as many entries of X-Forwarded-For as we have proxies.

    Each proxy appends who called it, so only the last ``trusted_proxies`` are its word; what is
    further left the caller wrote himself.
    """
    direct = request.remote_addr or "unknown"
    if trusted_proxies == 0:
        return direct
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
    chain = [*forwarded, direct] if forwarded != [""] else [direct]
    return chain[-min(trusted_proxies + 1, len(chain))][:64]


def whole_body(request: Request, most: int) -> bytes:
    """The body, if it has at most so many bytes. Raises `RequestEntityTooLarge`.

    Of a body whose length is not announced, werkzeug silently hands over what fits.
    """
    request.max_content_length = most + 1
    body = request.get_data(cache=False)
    if len(body) > most:
        raise RequestEntityTooLarge
    return body
