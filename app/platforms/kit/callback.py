"""What did the platform send us, and what do we answer?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from app.domain.events import Event, SameAccount


@dataclass(frozen=True, slots=True)
class Callback:
    """One HTTP request as it arrived. Header names are lower case; the body is untouched."""

    method: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    received_at: datetime

    def header(self, name: str) -> str | None:
        return self.headers.get(name.lower())


@dataclass(frozen=True, slots=True)
class Grant:
    """A subscription that the platform grants for a time, after which it lapses."""

    topic: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Reply:
    """The HTTP answer a platform expects. Never HTML: a handshake echoes what a stranger sent.

    What an answered handshake says besides: ``grant``, for how long we are subscribed, or
    ``notice``, a word about the subscription that is no proof of ownership. With ``is_proof`` false
    it says nothing: anyone may have asked.
    """

    status: int = 204
    body: str = ""
    content_type: str = "text/plain; charset=utf-8"
    grant: Grant | None = field(default=None, compare=False)
    notice: str | None = field(default=None, compare=False)
    is_proof: bool = field(default=True, compare=False)


@dataclass(frozen=True, slots=True)
class Ask:
    """A form that we send to a platform for a subscription; its answer is a handshake, later."""

    url: str
    form: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a verified callback says: events, and what was left out and why.

    ``handshake`` marks a proof of ownership, ``notice`` a word from the platform about the
    subscription itself, such as its revocation. ``same_accounts`` are ids that the platform says
    are of one account, without an event that shows both.
    """

    events: tuple[Event, ...] = ()
    ignored: tuple[str, ...] = ()
    reply: Reply | None = None
    handshake: bool = False
    notice: str | None = None
    same_accounts: tuple[SameAccount, ...] = ()

    @classmethod
    def of(cls, result: Event | str, reply: Reply | None = None) -> Self:
        """The reading of a callback that carries one thing: its event, or why it is none."""
        if isinstance(result, Event):
            return cls(events=(result,), reply=reply)
        return cls(ignored=(result,), reply=reply)


class Refusal(Exception):  # noqa: N818 -- the word of the field, not an error of ours
    """A callback we say no to. The reason is for our log and `vouch verify`, not the caller."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Forged(Refusal):
    """The signature, token or time does not prove that the platform sent this."""


class Malformed(Refusal):
    """Proven to come from the platform, yet not of a shape that we can read."""


class KeysUnavailable(Exception):  # noqa: N818 -- no fault: a thing that is not there now
    """The keys that a platform publishes cannot be had now; the callback is to come again."""


@dataclass(frozen=True, slots=True)
class Example:
    """A callback as the platform would send it, before or after it is signed."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
