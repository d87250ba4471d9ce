"""Which shop pages may make claims from a browser, and read what we answer?"""

from flask import Response, request

from app.web.context import service

_ALLOWED = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Content-Type, Authorization",
    "Access-Control-Max-Age": "600",
}


def preflight_answer() -> Response:
    """What a browser asks before it sends a claim. Without an allowed origin it stops there."""
    return Response(status=204, headers=_ALLOWED)


def let_origin_read(response: Response) -> Response:
    """Name the page's origin, if it is configured, on every answer about claims.

    On refusals too, of whatever part: a page cannot read a problem without it.
    """
    if not _is_about_claims(request.path):
        return response
    response.vary.add("Origin")
    origin = request.headers.get("Origin", "")
    if origin in service().configuration.web.cors_origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = "Retry-After"
    return response


def _is_about_claims(path: str) -> bool:
    return f"{path}/".startswith("/v1/claims/")
