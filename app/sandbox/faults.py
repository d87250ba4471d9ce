"""Faults that the sandbox injects, and the replies that they cause."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.sandbox import replies
from app.sandbox.calls import ENDPOINT_NAMES
from app.sandbox.replies import Reply, Row
from app.sandbox.scripts import SCRIPTS, Script

LONG_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault for the calls to `path` (an endpoint's name; None: any) and `customer_id` (or any).

    It applies `count` times, or with `probability` each time until it is cleared; with neither,
    once. `seconds` is how long to hang or to be slow, or the Retry-After of a rate limit. `status`
    and `body` are for the kinds answer; `headers` are added to any reply.
    """

    kind: str
    path: str | None = None
    customer_id: str | None = None
    count: int | None = None
    probability: float | None = None
    seconds: float | None = None
    status: int | None = None
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in SCRIPTS:
            raise ValueError(f"unknown kind {self.kind!r}, expected one of {', '.join(SCRIPTS)}")
        if self.path not in (None, *ENDPOINT_NAMES):
            raise ValueError(f"unknown path {self.path!r}, expected {', '.join(ENDPOINT_NAMES)}")
        if self.is_answer != (self.status is not None):
            raise ValueError("answer and answer-after need a status; other kinds must not have one")
        if (self.count is not None and self.count < 1) or (self.seconds or 0) < 0:
            raise ValueError("a fault applies at least once, and seconds must not be negative")

    @property
    def script(self) -> Script:
        return SCRIPTS[self.kind]

    @property
    def is_answer(self) -> bool:
        return self.kind in ("answer", "answer-after")

    @property
    def wait_seconds(self) -> float:
        return LONG_SECONDS if self.seconds is None else self.seconds

    @property
    def work_seconds(self) -> float:
        return self.wait_seconds if self.kind == "slow" else 0.0

    def reply(self, request_id: str) -> Reply | None:
        """Return the reply that replaces Gameball's own, or None to keep that."""
        reply = self._reply(request_id)
        if reply is None:
            return None
        headers = {**reply.headers, **self._retry_after(), **self.headers}
        return Reply(status=reply.status, body=reply.body, headers=headers, code=reply.code)

    def _reply(self, request_id: str) -> Reply | None:
        if self.status is not None:
            return _verbatim(self.status, self.body)
        says = self.script.says
        return replies.refusal(says, request_id) if isinstance(says, Row) else says

    def _retry_after(self) -> dict[str, str]:
        if self.kind != "rate-limit" or self.seconds is None:
            return {}
        return {"Retry-After": str(math.ceil(self.seconds))}


def _verbatim(status: int, body: object) -> Reply:
    if body is None or isinstance(body, str):
        return Reply(
            status=status, body=body or "", headers={"Content-Type": "text/plain; charset=utf-8"}
        )
    code = body.get("code") if isinstance(body, dict) else None
    reply = replies.json_reply(status, body)
    return Reply(
        status=status,
        body=reply.body,
        headers=reply.headers,
        code=code if isinstance(code, int) else None,
    )
