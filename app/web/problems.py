"""All error responses, as problems of RFC 9457."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from flask import Flask, Response, request
from gunicorn.http.errors import (
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)
from werkzeug.exceptions import HTTPException

from app.platforms.kit.callback import KeysUnavailable
from app.storage.errors import Conflict, StorageUnavailable, TooSlow
from app.storage.vault import CannotOpen

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of error; ``advice`` tells a developer what to do about it."""

    status: int
    title: str
    advice: str = ""


PROBLEM_TYPES: Mapping[str, ProblemType] = {
    "malformed": ProblemType(
        400,
        "The request has a shape that cannot be read",
        "Send what the operation describes. The same request will be refused again.",
    ),
    "forged": ProblemType(
        401,
        "The request does not prove where it comes from",
        "Check the source's secret, that nothing on the way changes the body, and both clocks; "
        "`vouch verify` shows what is wrong with a request. Some platforms expect 403 here.",
    ),
    "unauthenticated": ProblemType(
        401,
        "A valid API key is needed",
        "Send `Authorization: Bearer <key>` with a key that exists and is not revoked.",
    ),
    "token-invalid": ProblemType(
        401, "The claim token is not valid", "Ask your backend for a new claim token."
    ),
    "token-expired": ProblemType(
        401, "The claim token is too old", "Ask your backend for a new claim token."
    ),
    "forbidden": ProblemType(
        403,
        "This key's role does not allow it",
        "Use a key with the role that the operation names.",
    ),
    "unknown": ProblemType(404, "There is nothing here", "Check the path, and the id in it."),
    "method": ProblemType(
        405,
        "This method is not served here",
        "The header `Allow` names the methods that are.",
    ),
    "taken": ProblemType(
        409,
        "The account is linked to another customer",
        "Unlink it there first, if it is not that customer's. One account earns for one customer.",
    ),
    "state": ProblemType(
        409,
        "The attempt's state does not allow it",
        "Read the attempt: it may have changed since you read it.",
    ),
    "too-large": ProblemType(413, "The body is too large", "Send less at once."),
    "media-type": ProblemType(
        415, "The body must be JSON", "Send `Content-Type: application/json`."
    ),
    "no-rule": ProblemType(
        422,
        "No rule rewards this challenge",
        "Add a rule for the challenge to the configuration, or correct its id.",
    ),
    "invalid": ProblemType(
        422,
        "A value is missing or wrong",
        "`errors` names each field and what is wrong with it. In a query, the status is 400.",
    ),
    "too-many": ProblemType(
        429, "Too many requests", "Wait as many seconds as `Retry-After` says, then send it again."
    ),
    "fault": ProblemType(
        500,
        "The fault is ours",
        "Send it again later; it is safe. Our log has the details.",
    ),
    "storage": ProblemType(
        503,
        "Storage does not answer; nothing was kept; try again",
        "Wait as many seconds as `Retry-After` says, then send it again; it is safe.",
    ),
    "busy": ProblemType(
        503,
        "Too many requests run at once; nothing was done; try again",
        "Wait as many seconds as `Retry-After` says, then send it again; it is safe. Few requests "
        "are served at once beside callbacks, and fewer read the history: `[history]` of the "
        "configuration says how many.",
    ),
    "too-slow": ProblemType(
        503,
        "The query took too long, and was ended",
        "Narrow the filter: name a customer, an account or a shorter time span. "
        "`query_deadline` in `[history]` of the configuration is the time limit.",
    ),
    "keys": ProblemType(
        503,
        "The platform's published key is not available; nothing was kept; try again",
        "Wait as many seconds as `Retry-After` says, then send it again; it is safe. The key can "
        "also be pinned in the source's `secrets`.",
    ),
    "not-ready": ProblemType(
        503, "Not ready", "The service cannot take callbacks. `detail` names the reason."
    ),
}

_STATUS_OF_UNREADABLE: Mapping[type[ParseException], int] = {
    LimitRequestLine: 414,
    ExpectationFailed: 417,
    LimitRequestHeaders: 431,
}
_BY_STATUS = {404: "unknown", 405: "method", 413: "too-large", 415: "media-type", 429: "too-many"}


class Problem(Exception):  # noqa: N818 -- the word of RFC 9457
    """An error response. ``detail`` is for the caller; more goes only to the log."""

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail
        self.status = status or PROBLEM_TYPES[kind].status
        self.headers = dict(headers or {})
        self.members = members

    def response(self) -> Response:
        response = Response(self.text(), self.status, content_type=MEDIA_TYPE)
        response.headers.update(self.headers)
        return response

    def text(self) -> str:
        body = {
            "type": f"/docs#{self.kind}",
            "title": PROBLEM_TYPES[self.kind].title,
            "status": self.status,
            "detail": self.detail,
            **self.members,
        }
        return json.dumps(body, separators=(",", ":"))


def install(app: Flask) -> None:
    """Answer every error of the service, foreseen or not, as a problem."""
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, lambda e: problem_of(e, request.path).response())


def problem_of(error: Exception, path: str) -> Problem:
    """Return the problem response for an error at ``path``; details go to the log only."""
    match error:
        case Problem():
            return error
        case StorageUnavailable() | Conflict() | CannotOpen():
            return _unavailable("storage", error, path)
        case TooSlow():
            log.warning("history.too_slow", problem=str(error), path=path)
            return Problem("too-slow", "Narrow the filter, and ask again.")
        case KeysUnavailable():
            return _unavailable("keys", error, path)
        case ParseException():
            return unreadable(error)
    log.error("request.failed", path=path, error=type(error).__name__, exc_info=error)
    return Problem("fault", "It was logged. Send it again later.")


def unreadable(error: ParseException) -> Problem:
    """Return the problem for a request that gunicorn cannot read as HTTP: its head or chunks.

    gunicorn's text quotes the request, which may contain a secret: only the kind is logged.
    """
    log.warning("request.unreadable", kind=type(error).__name__)
    status = _STATUS_OF_UNREADABLE.get(type(error), 400)
    return Problem("malformed", "This is not valid HTTP.", status=status)


def _unavailable(kind: str, error: Exception, path: str) -> Problem:
    log.error(f"{kind}.unavailable", problem=str(error), path=path)
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return Problem(kind, "Nothing was kept. Send it again.", headers=headers)


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    if status < 400:
        return Response(status=status, headers=error.get_headers())
    kind = _BY_STATUS.get(status, "malformed" if status < 500 else "fault")
    headers = {name: value for name, value in error.get_headers() if name in ("Allow",)}
    detail = PROBLEM_TYPES[kind].title + "."
    return Problem(kind, detail, status=status, headers=headers).response()
