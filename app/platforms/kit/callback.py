"""Callbacks, what was read from them, and our replies, as values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self
from urllib.parse import urlencode

from app.domain.events import Event, SameAccount
from app.domain.nudges import Nudge
from app.platforms.kit.requests import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """One HTTP request as it arrived. Header names are in lower case; the body is unchanged."""

    method: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    received_at: datetime
    _parsed: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def header(self, name: str) -> str | None:
        return self.headers.get(name.lower())

    def parsed(self, parse: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
        """Return the body parsed with ``parse``, which runs only once for a callback.

        The result must not be changed. Raises `Malformed`, each time.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The HTTP answer that a platform expects. Never HTML: a handshake echoes a stranger's text.

    An answered handshake may carry ``grant``, how long we are subscribed, or ``notice``, a message
    about the subscription that proves no ownership. With ``is_proof`` false it proves nothing:
    anybody may have sent it.
    """

    status: int = 204
    body: str = ""
    content_type: str = "text/plain; charset=utf-8"
    grant: SubscriptionLease | None = field(default=None, compare=False)
    notice: str | None = field(default=None, compare=False)
    is_proof: bool = field(default=True, compare=False)


@dataclass(frozen=True, slots=True)
class SubscriptionRequest:
    """A form that requests a subscription; the platform answers with a handshake, later."""

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
    """A thing that the configuration may name by ``old_id`` now has ``new_id``."""

    old_id: str
    new_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The content of a verified callback: events or nudges, and the reasons for ignored items.

    ``handshake`` marks a proof of ownership, ``notice`` a message about the subscription itself,
    such as its revocation. ``change`` is a new id of something that the configuration may name.
    ``same_accounts`` are ids that the platform says belong to one account, without an event that
    shows both. ``excluded`` are events that cannot earn anything; ``ignored`` has their reasons
    too.
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
        """Return the reading of a callback with one item: an event, or why it is ignored."""
        if isinstance(result, Event) and result.excluded is None:
            return cls(events=(result,), reply=reply)
        return cls.of_all([result], reply)

    @classmethod
    def of_all(cls, results: Sequence[Event | str], reply: Reply | None = None) -> Self:
        """Like `of`, for a callback with several items."""
        events = [result for result in results if isinstance(result, Event)]
        why = [result.excluded if isinstance(result, Event) else result for result in results]
        return cls(
            events=tuple(event for event in events if event.excluded is None),
            excluded=tuple(event for event in events if event.excluded is not None),
            ignored=tuple(reason for reason in why if reason is not None),
            reply=reply,
        )


class Refusal(Exception):  # noqa: N818 -- the usual word, not an error of ours
    """A callback that is refused. The reason is for our log and `vouch verify`, not the caller."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Forged(Refusal):
    """The signature, token or time does not prove that the platform sent this."""


class Mismatch(Forged):
    """The proof is well-formed, but does not match the content under any of our secrets."""


class Malformed(Refusal):
    """The callback comes from the platform, but we cannot read its shape."""


class TooLarge(Refusal):
    """The body is larger than we read from this platform before it is verified."""


class KeysUnavailable(Exception):  # noqa: N818 -- temporary, not an error
    """The platform's published keys are not available now; the callback has to be sent again."""


@dataclass(frozen=True, slots=True)
class Example:
    """A callback as the platform would send it, before or after it is signed."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)

    def parsed(self, parse: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
        return parse(self.body)
