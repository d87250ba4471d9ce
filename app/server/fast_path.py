"""Read and answer plain callbacks without gunicorn's parser and Flask."""

# gunicorn reads any valid HTTP and Flask routes all of our paths, which was half the cost of a
# callback (bench/intake). Nearly all callbacks need neither. A request that is read here would be
# read the same by both; any unusual one is left to them, so nothing is refused here.

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback
from app.server.raw_http import raw_answer, raw_problem
from app.service import Service
from app.settings.configuration import Configuration
from app.web import webhooks
from app.web.problems import problem_of

# Smaller than gunicorn's limits, so that nothing is accepted here that they would refuse.
MOST_HEAD = 4_000
MOST_FIELDS = 100
# Every character has only one meaning: nothing is escaped, and lines have one kind of ending.
_HEAD = re.compile(
    rb"POST /webhooks/([\w-]+)(?:\?([\w.~=&-]+))? HTTP/(1\.[01])\r\n"
    rb"((?:[A-Za-z0-9-]+:[\t\x20-\x7e]*\r\n)*)"
)
# Headers that change how a request is read.
_ODD = frozenset({"expect", "transfer-encoding", "upgrade"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FastCallback:
    """An event posted to a source. ``is_last``: its sender wants to close the connection."""

    adapter: Adapter
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    version: str
    is_last: bool

    @classmethod
    def read(cls, data: bytes, configuration: Configuration) -> Self | None:
        """Read all ``data`` that has arrived. None: this is not a plain callback."""
        end = data.find(b"\r\n\r\n", 0, MOST_HEAD)
        head = _HEAD.fullmatch(data, 0, end + 2) if end > 0 else None
        adapter = configuration.sources.get(head[1].decode()) if head else None
        if head is None or adapter is None:
            return None
        lines = head[4].decode().split("\r\n")[:-1]
        headers = dict(map(_field, lines))
        is_plain = len(headers) == len(lines) <= MOST_FIELDS and _ODD.isdisjoint(headers)
        body = data[end + 4 :]
        # Compared as text: the exact number of bytes, in its only spelling.
        is_whole = headers.pop("content-length", "") == str(len(body))
        is_small = len(body) <= configuration.web.max_callback_bytes
        connection = headers.get("connection", "").lower()
        if not (is_whole and is_small and is_plain and connection in ("", "keep-alive", "close")):
            return None
        headers.setdefault("content-type", "")
        version = head[3].decode()
        is_last = connection == "close" or (version == "1.0" and not connection)
        query = _query(head[2].decode()) if head[2] else {}
        return cls(
            adapter=adapter,
            headers=headers,
            query=query,
            body=body,
            version=version,
            is_last=is_last,
        )

    def answer(self, service: Service, *, stays: bool) -> bytes:
        """Process the callback and return the raw answer. ``stays``: the connection stays open."""
        callback = Callback(
            method="POST",
            headers=self.headers,
            query=self.query,
            body=self.body,
            received_at=service.now(),
        )
        try:
            reply = webhooks.answer(service, self.adapter, callback)
        except Exception as error:
            path = f"/webhooks/{self.adapter.source.name}"
            return raw_problem(problem_of(error, path), stays=stays, version=self.version)
        headers = webhooks.header_list(reply)
        return raw_answer(reply.status, headers, reply.body, stays=stays, version=self.version)


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.lower(), value.strip(" \t")


def _query(text: str) -> dict[str, str]:
    """Return the query; the first value of a repeated name wins, as in Flask."""
    return dict(reversed(parse_qsl(text, keep_blank_values=True)))
