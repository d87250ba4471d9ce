"""Sign example callbacks and post them to a service."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain.nudges import Nudge
from app.outgoing.http import Client, NoResponse
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Malformed, Reading
from app.platforms.kit.examples import Template
from app.platforms.kit.requests import Request

READ_SECONDS = 30.0
TOLD = ("key", "action", "actor", "target", "undone")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A callback ready to be posted, and the events that a configured source reads from it."""

    body: bytes
    headers: Mapping[str, str]
    query: Mapping[str, str]
    events: tuple[Mapping[str, Any], ...]
    ignored: tuple[str, ...] = ()
    nudges: tuple[Nudge, ...] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """A response. If ``status`` is None there was none, and ``detail`` says why."""

    status: int | None
    seconds: float
    detail: str = ""

    @property
    def is_accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def signed_callback(
    adapter: Adapter,
    template: Template,
    *,
    actor: str,
    target: str,
    key: str,
    now: datetime,
    is_forged: bool = False,
) -> Signed:
    """Sign an example as the platform would, or as a stranger. Raises `CannotSign`."""
    template = template.addressed(adapter.source)
    example = template.fill(actor=actor, target=target, key=key, now=now)
    sent = adapter.forge(example, now) if is_forged else adapter.sign(example, now)
    try:
        reading = adapter.read(
            Callback(
                method="POST",
                headers=sent.headers,
                query=sent.query,
                body=sent.body,
                received_at=now,
            )
        )
    except Malformed as refusal:
        reading = Reading(ignored=(f"it cannot be read: {refusal.reason}",))
    events = tuple({name: getattr(one, name) for name in TOLD} for one in reading.events)
    return Signed(
        body=sent.body,
        headers=sent.headers,
        query=sent.query,
        events=events,
        ignored=reading.ignored,
        nudges=reading.nudges,
    )


def post(client: Client, url: str, signed: Signed) -> Answered:
    """Post a callback once, as a platform does."""
    request = Request(
        method="POST", url=url, headers=signed.headers, query=signed.query, body=signed.body
    )
    began = time.monotonic()
    try:
        response = client.send(request, read_seconds=READ_SECONDS)
    except NoResponse as error:
        return Answered(None, time.monotonic() - began, f"no answer: {error.reason}")
    return Answered(response.status, time.monotonic() - began, _detail(response.body))


def _detail(body: bytes) -> str:
    """Return the detail of an RFC 9457 problem, or an empty string for any other body."""
    try:
        problem = json.loads(body)
    except ValueError:
        return ""
    detail = problem.get("detail") if isinstance(problem, dict) else None
    return detail if isinstance(detail, str) else ""
