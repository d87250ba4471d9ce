"""Write HTTP answers without a framework."""

import time
from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from app.web.problems import MEDIA_TYPE, Problem

Headers = Iterable[tuple[str, str]]


def raw_answer(
    status: int, headers: Headers, body: str, *, stays: bool, version: str = "1.1"
) -> bytes:
    """Return an HTTP/1 answer. ``stays``: the connection stays open for another request.

    ``headers`` must be our own text: line breaks in them are not escaped.
    """
    content = body.encode()
    lines = [
        f"HTTP/{version} {status} {HTTPStatus(status).phrase}",
        f"Date: {_date(int(time.time()))}",
        f"Connection: {'keep-alive' if stays else 'close'}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    if status != HTTPStatus.NO_CONTENT:
        lines.append(f"Content-Length: {len(content)}")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + content


def raw_problem(problem: Problem, *, stays: bool, version: str = "1.1") -> bytes:
    headers = [("Content-Type", MEDIA_TYPE), *problem.headers.items()]
    return raw_answer(problem.status, headers, problem.text(), stays=stays, version=version)


@lru_cache(maxsize=1)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)
