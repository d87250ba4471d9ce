"""Access to the service, and to the caller's headers, address and body."""

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
    """Return the headers by lower-case name. WSGI has joined the values of repeated ones."""
    headers = {
        _header(name): value for name, value in request.environ.items() if name.startswith("HTTP_")
    }
    headers["content-type"] = request.environ.get("CONTENT_TYPE", "")
    return headers


@lru_cache(maxsize=1024)
def _header(name: str) -> str:
    return name[5:].replace("_", "-").lower()


def client_address(request: Request, trusted_proxies: int) -> str:
    """Return the caller's address, trusting one entry of X-Forwarded-For for each of our proxies.

    Each proxy appends its caller's address, so only the last ``trusted_proxies`` entries are
    theirs; the caller wrote the others.
    """
    direct = request.remote_addr or "unknown"
    if trusted_proxies == 0:
        return direct
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
    chain = [*forwarded, direct] if forwarded != [""] else [direct]
    return chain[-min(trusted_proxies + 1, len(chain))][:64]


def whole_body(request: Request, most: int) -> bytes:
    """Return the body if it has at most ``most`` bytes. Raises `RequestEntityTooLarge`.

    werkzeug silently truncates a body without an announced length.
    """
    request.max_content_length = most + 1
    body = request.get_data(cache=False)
    if len(body) > most:
        raise RequestEntityTooLarge
    return body
