"""What must one platform's module answer?"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar

from app.domain.events import Event
from app.domain.sources import Expected
from app.platforms.kit.callback import (
    Callback,
    Example,
    Forged,
    KeysUnavailable,
    Malformed,
    Reading,
    Reply,
    SubscriptionRequest,
    TooLarge,
)
from app.platforms.kit.event_mappings import EventMapping
from app.platforms.kit.fields import compact_json, json_object
from app.platforms.kit.options import SourceConfig
from app.platforms.kit.published import Fetcher, no_fetcher, published_key, verify_by_published
from app.platforms.kit.schemes import Scheme
from app.platforms.kit.signing import lowered, sign
from app.platforms.kit.terms import Terms

# How many commas, brackets, braces and tags a body may have that is parsed before it is believed:
# each may become an object, and a small body of nothing else would become very many.
MOST_UNPROVEN_PARTS = 20_000
_PARTS = (b",", b"[", b"{", b"<")


@dataclass(frozen=True, slots=True)
class Secret:
    """One configured secret: the option that holds it, and its place in that."""

    option: str
    position: int
    value: str = field(repr=False)


class Adapter(ABC):
    """The one module that knows a platform. It does no I/O and sees no framework.

    A subclass declares its data and reads its payload; the web layer does the rest: handshake,
    then `verify`, then `read`.
    """

    name: ClassVar[str]
    docs: ClassVar[str]
    config: ClassVar[type[SourceConfig]] = SourceConfig
    schemes: tuple[Scheme, ...] = ()
    """How it signs; where the configuration decides, `__init__` sets it."""
    kinds: ClassVar[Mapping[str, EventMapping]] = {}
    """Its words for what happened, and where each one's particulars stand."""
    tolerance_seconds: ClassVar[float] = 300
    secret_fields: ClassVar[tuple[str, ...]] = ()
    """What of a JSON body is a secret, at its top, and is never kept."""
    terms: ClassVar[tuple[Terms, ...]] = ()
    """Which of its terms speak against rewarding an action; none: none were found."""
    ids_are_per_source: ClassVar[bool] = False
    """Whether two sources may mean two people by one account id, as two partners' 42 are."""
    narrowed_by: ClassVar[Mapping[str, frozenset[str]]] = {}
    """By an option that limits where something counts: the actions that a rule without a target
    would otherwise reward anywhere."""
    targets_ignore_case: ClassVar[bool] = False
    """Whether the platform means the same target by ``Shop`` and ``shop``."""
    also_known_as: ClassVar[tuple[str, ...]] = ()
    """What else its terms are for: networks by the names that rules for claims may give them."""
    public_options: ClassVar[tuple[str, ...]] = ()
    """What of the configuration the platform makes up and is told to whoever asks: no secret."""
    reports_rewards: ClassVar[bool] = False
    """Whether it reads nudges about rewards and no events, so that no rule can be about it."""

    unproven_bytes: ClassVar[int | None] = None
    """The largest body, where its proof stands in the body, which a stranger makes us parse."""

    keys_url: ClassVar[str | None] = None
    """Where the platform publishes the key that it signs with, if we are to believe that."""
    key_path: ClassVar[str] = ""
    """Where in the answer the key stands."""

    # What it answers, and how soon the platform wants it.
    accepted: ClassVar[Reply] = Reply(204)
    forged_status: ClassVar[int] = 403
    malformed_status: ClassVar[int] = 400
    deadline_seconds: ClassVar[float] = 5
    handshake_within_seconds: ClassVar[float | None] = None
    """The longest time between two of its handshakes while all is well; None: it sends few."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.fetch: Fetcher = no_fetcher
        """How published keys are had; whoever runs the adapter gives it one that fetches."""

    @property
    def tolerance(self) -> float:
        return float(self.source.tolerance_seconds or self.tolerance_seconds)

    def most_bytes(self, of_any: int) -> int:
        """The largest body that is taken; ``of_any``: the largest of any source."""
        return min(of_any, self.source.max_bytes or self.unproven_bytes or of_any)

    def check_size(self, callback: Callback, of_any: int) -> None:
        """Raise `TooLarge` before a body is parsed that is too large, or has too much in it."""
        size, most = len(callback.body), self.most_bytes(of_any)
        if size > most:
            raise TooLarge(f"the body has {size} bytes, and {most} are read")
        if self.unproven_bytes is None:
            return
        parts = sum(map(callback.body.count, _PARTS))
        if parts > MOST_UNPROVEN_PARTS:
            raise TooLarge(f"the body has {parts} parts, and {MOST_UNPROVEN_PARTS} are read")

    @property
    def topics(self) -> tuple[str, ...]:
        """What we must be subscribed to, where the platform's subscriptions lapse."""
        return ()

    @property
    def named_ids(self) -> tuple[str, ...]:
        """The ids of groups and the like that its configuration names."""
        return ()

    def ask_for(self, topic: str) -> SubscriptionRequest | None:  # noqa: ARG002
        """What to send for a subscription to ``topic``; None: somebody else sees to it."""
        return None

    @property
    def expected(self) -> Expected:
        silence = self.source.silent_after_seconds
        return Expected(silence, self.handshake_within_seconds, self.topics)

    def handshake(self, callback: Callback) -> Reply | None:  # noqa: ARG002
        """Answer an unsigned proof of ownership; None when this is none. Raises `Refusal`."""
        return None

    def verify(self, callback: Callback) -> None:
        """Raise `Forged` unless the platform sent this. Fails closed: no scheme, no trust.

        Of several schemes the first whose proof is there decides alone: whoever may choose
        between two secrets needs only the weaker one. Raises `KeysUnavailable`.
        """
        if not self.schemes:
            raise Forged("this adapter declares no signature scheme")
        present = (scheme for scheme in self.schemes if scheme.proof.found(callback))
        scheme = next(present, self.schemes[-1])
        if self.fetches is None:
            scheme.verify(callback, self.source.keys_of(scheme.secrets), self.tolerance)
        else:
            verify_by_published(scheme, callback, self.tolerance, self.fetched_keys)

    @cached_property
    def secrets(self) -> tuple[Secret, ...]:
        """The configured secrets that callbacks may be proved by, in their order."""
        options = dict.fromkeys(scheme.secrets for scheme in self.schemes)
        return tuple(
            Secret(option, position, value.get_secret_value())
            for option in options
            for position, value in enumerate(getattr(self.source, option, ()))
        )

    def fitting_secret(self, callback: Callback) -> Secret | None:
        """The one that proves a verified callback, for whoever replaces secrets; None: a fetched
        key did.
        """
        if len(self.secrets) < 2:
            return next(iter(self.secrets), None)
        return next((one for one, alone in self._alone if _verifies(alone, callback)), None)

    @cached_property
    def _alone(self) -> list[tuple[Secret, "Adapter"]]:
        """For each secret an adapter that has no other."""
        found = []
        for one in self.secrets:
            values = getattr(self.source, one.option)
            only = {one.option: (values[one.position],)}
            others = {other.option: () for other in self.secrets if other.option != one.option}
            found.append((one, type(self)(self.source.model_copy(update=others | only))))
        return found

    @property
    def fetches(self) -> str | None:
        """Where to fetch keys from: nowhere, where some are pinned."""
        if any(self.source.keys_of(scheme.secrets) for scheme in self.schemes):
            return None
        url: str | None = getattr(self.source, "key_url", None)
        return url or self.keys_url

    def fetched_keys(self, anew: bool = False) -> tuple[bytes, ...]:
        """Raises `KeysUnavailable`."""
        url = self.fetches or ""
        try:
            return (published_key(self.fetch(url, anew=anew), self.key_path),)
        except Malformed as malformed:
            if not anew:
                # Somebody's page instead of the key must not be remembered for a day.
                return self.fetched_keys(anew=True)
            raise KeysUnavailable(f"{url} answers no keys: {malformed.reason}") from None

    @abstractmethod
    def read(self, callback: Callback) -> Reading:
        """Read a verified callback. Raises `Malformed`; what is of no interest is ignored."""

    def sign(self, example: Example, now: datetime) -> Example:
        """``example`` as the platform would send it at ``now``. Raises `CannotSign`."""
        prepared = self.prepared(lowered(example), now)
        return sign(self.source, self.name, self.schemes, prepared, now)

    def forge(self, example: Example, now: datetime) -> Example:
        """``example`` as somebody would send it who has no secret of ours."""
        scheme = self.schemes[-1]
        return scheme.sign(self.prepared(lowered(example), now), scheme.stranger(), now)

    def prepared(self, example: Example, now: datetime) -> Example:  # noqa: ARG002
        """What the platform does to an example before it signs it, such as encrypting it."""
        return example

    def read_word(self, word: str, callback: Callback, root: object, **more: Any) -> Event | str:
        """The event of the kind that is called ``word``, or why it is none."""
        if word not in self.kinds:
            return f"{word} earns nothing"
        return self.read_as(self.kinds[word], callback, word=word, root=root, **more)

    def read_as(
        self,
        kind: EventMapping,
        callback: Callback,
        *,
        word: str,
        root: object,
        payload: bytes | None = None,
        own: object = None,
        former_keys: tuple[str, ...] = (),
    ) -> Event | str:
        """The event of ``kind`` that ``root`` describes, or why it is none.

        ``word`` keeps the keys of different kinds apart; ``own`` is the id of the account that is
        watched: what it does itself is no customer's action. ``former_keys``: those of earlier
        versions that the kind does not tell.
        """
        told = kind.parse(word, root, own)
        if isinstance(told, str):
            return told
        if former_keys:
            told["former_keys"] += former_keys
        if payload is not None:
            told["payload"] = payload
        return self.event(callback, **told)

    @staticmethod
    def excluded(result: Event | str, why: str) -> Event | str:
        """The same event as one that can earn nothing, for a reason of this source's own."""
        return replace(result, excluded=why) if isinstance(result, Event) else result

    def event(
        self, callback: Callback, *, key: str, action: str, actor: str | None, **more: Any
    ) -> Event:
        """An event of this source; the payload is the whole body unless ``payload`` is given."""
        more.setdefault("occurred_at", callback.received_at)
        if self.targets_ignore_case:
            more |= _in_one_case(more.get("target"), more.get("target_aliases", ()))
        if "payload" not in more:
            more["payload"] = self._kept(callback)
        return Event(
            source=self.source.name,
            key=key,
            platform=self.source.accounts or self.name,
            action=action,
            actor=actor,
            received_at=callback.received_at,
            **more,
        )

    def _kept(self, callback: Callback) -> bytes:
        if not self.secret_fields:
            return callback.body
        body = callback.parsed(json_object)
        return compact_json({key: v for key, v in body.items() if key not in self.secret_fields})


def _verifies(adapter: Adapter, callback: Callback) -> bool:
    try:
        adapter.verify(callback)
    except (Forged, KeysUnavailable):
        return False
    return True


def _in_one_case(target: str | None, aliases: Iterable[str]) -> dict[str, Any]:
    """A target and its other names in lower case, and as they were written.

    Earlier versions kept targets as they were written: by these, what they kept is found.
    """
    written = [name for name in (target, *aliases) if name is not None]
    lowered = target and target.lower()
    others = dict.fromkeys([*(name.lower() for name in written), *written])
    return {
        "target": lowered,
        "target_aliases": tuple(name for name in others if name != lowered),
    }
