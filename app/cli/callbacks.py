"""How does an example callback look on the wire, and what is it answered?"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests

from app.cli.address import is_loopback
from app.domain.nudges import Nudge
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Malformed, Reading
from app.platforms.kit.examples import Template

TIMEOUT_SECONDS = (3.05, 30)
TOLD = ("key", "action", "actor", "target", "undone")


@dataclass(frozen=True, slots=True)
class Signed:
    """A callback ready to be posted, and what a source as configured makes of it."""

    body: bytes
    headers: Mapping[str, str]
    query: Mapping[str, str]
    events: tuple[Mapping[str, Any], ...]
    ignored: tuple[str, ...] = ()
    nudges: tuple[Nudge, ...] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back. ``status`` None: nothing did, and ``detail`` says why."""

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
    """An example as the platform would sign it, or a stranger; raises `CannotSign`."""
    template = template.addressed(adapter.source)
    example = template.fill(actor=actor, target=target, key=key, now=now)
    sent = adapter.forge(example, now) if is_forged else adapter.sign(example, now)
    try:
        reading = adapter.read(Callback("POST", sent.headers, sent.query, sent.body, now))
    except Malformed as refusal:
        reading = Reading(ignored=(f"it cannot be read: {refusal.reason}",))
    events = tuple({name: getattr(one, name) for name in TOLD} for one in reading.events)
    return Signed(sent.body, sent.headers, sent.query, events, reading.ignored, reading.nudges)


def new_session(url: str) -> requests.Session:
    """A session for a service; proxies of the environment are not for this machine."""
    session = requests.Session()
    session.trust_env = not is_loopback(url)
    return session


def post(session: requests.Session, url: str, signed: Signed) -> Answered:
    """Post a callback once, as a platform does."""
    began = time.monotonic()
    try:
        response = session.post(
            url,
            data=signed.body,
            params=dict(signed.query),
            headers=dict(signed.headers),
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        return Answered(None, time.monotonic() - began, f"no answer: {type(error).__name__}")
    return Answered(response.status_code, time.monotonic() - began, _detail(response))


def _detail(response: requests.Response) -> str:
    """What an RFC 9457 problem says; of any other answer nothing is worth repeating."""
    try:
        problem = json.loads(response.content)
    except ValueError:
        return ""
    detail = problem.get("detail") if isinstance(problem, dict) else None
    return detail if isinstance(detail, str) else ""
