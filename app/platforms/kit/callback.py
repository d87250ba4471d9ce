"""What did the platform send us, and what do we answer?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self
from urllib.parse import urlencode

from app.domain.events import Event, SameAccount
from app.domain.nudges import Nudge
from app.platforms.kit.requests import Request


@dataclass(frozen=True, slots=True)
class Callback:
    """One HTTP request as it arrived. Header names are lower case; the body is untouched."""

    method: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    received_at: datetime
    _parsed: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def header(self, name: str) -> str | None:
        return self.headers.get(name.lower())

    def parsed(self, parse: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
        """What ``parse`` makes of the body, the same each time: it is parsed once.

        Nobody may change what is returned. Raises `Malformed`, each time.
        """
        if parse not in self._parsed:
            try:
                self._parsed[parse] = parse(self.body)
            except Malformed as malformed:
                self._parsed[parse] = malformed.reason
        found = self._parsed[parse]
        if isinstance(found, str):
            raise Malformed(found)
        return found  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class SubscriptionLease:
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
    grant: SubscriptionLease | None = field(default=None, compare=False)
    notice: str | None = field(default=None, compare=False)
    is_proof: bool = field(default=True, compare=False)


@dataclass(frozen=True, slots=True)
class SubscriptionRequest:
    """A form that we send to a platform for a subscription; its answer is a handshake, later."""

    url: str
    form: Mapping[str, str]

    @property
    def request(self) -> Request:
        return Request(
            method="POST",
            url=self.url,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(self.form).encode(),
        )


@dataclass(frozen=True, slots=True)
class Change:
    """A thing that the configuration may name by ``old_id`` has ``new_id`` from now on."""

    old_id: str
    new_id: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a verified callback says: events, or nudges, and what was left out and why.

    ``handshake`` marks a proof of ownership, ``notice`` a word from the platform about the
    subscription itself, such as its revocation. ``change`` is a new id of something that the
    configuration may name. ``same_accounts`` are ids that the platform says
    are of one account, without an event that shows both. ``excluded`` are events that can earn
    nothing; ``ignored`` has the reason of each as well.
    """

    events: tuple[Event, ...] = ()
    ignored: tuple[str, ...] = ()
    reply: Reply | None = None
    handshake: bool = False
    notice: str | None = None
    change: Change | None = None
    excluded: tuple[Event, ...] = ()
    same_accounts: tuple[SameAccount, ...] = ()
    nudges: tuple[Nudge, ...] = ()

    @classmethod
    def of(cls, result: Event | str, reply: Reply | None = None) -> Self:
        """The reading of a callback that carries one thing: its event, or why it is none."""
        if isinstance(result, Event) and result.excluded is None:
            return cls(events=(result,), reply=reply)
        return cls.of_all([result], reply)

    @classmethod
    def of_all(cls, results: Sequence[Event | str], reply: Reply | None = None) -> Self:
        """As `of`, of a callback that carries several things."""
        events = [one for one in results if isinstance(one, Event)]
        why = [one.excluded if isinstance(one, Event) else one for one in results]
        return cls(
            events=tuple(one for one in events if one.excluded is None),
            excluded=tuple(one for one in events if one.excluded is not None),
            ignored=tuple(reason for reason in why if reason is not None),
            reply=reply,
        )


class Refusal(Exception):  # noqa: N818 -- the word of the field, not an error of ours
    """A callback we say no to. The reason is for our log and `vouch verify`, not the caller."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Forged(Refusal):
    """The signature, token or time does not prove that the platform sent this."""


class Mismatch(Forged):
    """The proof is of the right form, and fits no secret of ours and what it covers."""


class Malformed(Refusal):
    """Proven to come from the platform, yet not of a shape that we can read."""


class TooLarge(Refusal):
    """More than is read of this platform's callbacks before they are believed."""


class KeysUnavailable(Exception):  # noqa: N818 -- no fault: a thing that is not there now
    """The keys that a platform publishes cannot be had now; the callback is to come again."""


@dataclass(frozen=True, slots=True)
class Example:
    """A callback as the platform would send it, before or after it is signed."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)

    def parsed(self, parse: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
        return parse(self.body)
