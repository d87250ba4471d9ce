"""How is an answer written where no framework writes it?"""

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
    """An HTTP/1 answer. ``stays``: whether another request may follow on its connection.

    Names and values of ``headers`` are ours: nothing here keeps a stranger's line break out.
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
