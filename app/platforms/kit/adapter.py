"""The base class of adapters."""

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

# A body that is parsed before it is verified may have this many commas, brackets, braces and tags:
# each may become an object, and a small body could become very many.
MOST_UNPROVEN_PARTS = 20_000
_PARTS = (b",", b"[", b"{", b"<")


@dataclass(frozen=True, slots=True)
class Secret:
    """One configured secret: its option, its position in that option, and its value."""

    option: str
    position: int
    value: str = field(repr=False)


class Adapter(ABC):
    """The one module that knows a platform. It does no I/O and uses no web framework.

    A subclass declares its data and reads its payload. The web layer does the rest: handshake, then
    `verify`, then `read`.
    """

    name: ClassVar[str]
    docs: ClassVar[str]
    config: ClassVar[type[SourceConfig]] = SourceConfig
    schemes: tuple[Scheme, ...] = ()
    """How the platform signs. Where the configuration decides, `__init__` sets it."""
    kinds: ClassVar[Mapping[str, EventMapping]] = {}
    """Maps the platform's words for events to ours."""
    tolerance_seconds: ClassVar[float] = 300
    secret_fields: ClassVar[tuple[str, ...]] = ()
    """Top-level fields of a JSON body that are secret and are never stored."""
    terms: ClassVar[tuple[Terms, ...]] = ()
    """The platform's terms that speak against rewarding an action; empty when none were found."""
    ids_are_per_source: ClassVar[bool] = False
    """Whether one account id may mean different people in two sources, as with two partners."""
    narrowed_by: ClassVar[Mapping[str, frozenset[str]]] = {}
    """Options that limit where actions count, and the actions that are otherwise rewarded
    everywhere by a rule without a target."""
    targets_ignore_case: ClassVar[bool] = False
    """Whether the platform means the same target by ``Shop`` and ``shop``."""
    also_known_as: ClassVar[tuple[str, ...]] = ()
    """Other names that rules for claims may give this network; the terms apply to them too."""
    public_options: ClassVar[tuple[str, ...]] = ()
    """Options that the platform generates and publishes, so that they are not secret."""
    reports_rewards: ClassVar[bool] = False
    """Whether it reads nudges about rewards instead of events, so that no rule can name it."""

    unproven_bytes: ClassVar[int | None] = None
    """The largest body, where the proof is in the body and strangers can make us parse it."""

    keys_url: ClassVar[str | None] = None
    """The address at which the platform publishes its signing key, where we trust that."""
    key_path: ClassVar[str] = ""
    """The path to the key in the answer."""

    # Our answers, and the platform's deadline for them.
    accepted: ClassVar[Reply] = Reply(status=204)
    forged_status: ClassVar[int] = 403
    malformed_status: ClassVar[int] = 400
    deadline_seconds: ClassVar[float] = 5
    handshake_within_seconds: ClassVar[float | None] = None
    """The longest time between two of its handshakes in normal operation; None: it sends few."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.fetch: Fetcher = no_fetcher
        """Fetches published keys; the caller of the adapter sets a real one."""

    @property
    def tolerance(self) -> float:
        return float(self.source.tolerance_seconds or self.tolerance_seconds)

    def most_bytes(self, of_any: int) -> int:
        """Return the largest body that is accepted; ``of_any``: the limit for all sources."""
        return min(of_any, self.source.max_bytes or self.unproven_bytes or of_any)

    def check_size(self, callback: Callback, of_any: int) -> None:
        """Raise `TooLarge` before a body is parsed that is too large or has too many parts."""
        size, most = len(callback.body), self.most_bytes(of_any)
        if size > most:
            raise TooLarge(f"the body has more than {most} bytes ({size})")
        if self.unproven_bytes is None:
            return
        parts = sum(map(callback.body.count, _PARTS))
        if parts > MOST_UNPROVEN_PARTS:
            raise TooLarge(f"the body has more than {MOST_UNPROVEN_PARTS} parts ({parts})")

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics to subscribe to, where the platform's subscriptions lapse."""
        return ()

    @property
    def named_ids(self) -> tuple[str, ...]:
        """The ids of groups and the like that the configuration names."""
        return ()

    def ask_for(self, topic: str) -> SubscriptionRequest | None:  # noqa: ARG002
        """Return the request for a subscription to ``topic``, or None when we do not subscribe."""
        return None

    @property
    def expected(self) -> Expected:
        silence = self.source.silent_after_seconds
        return Expected(
            silent_after_seconds=silence,
            handshake_within_seconds=self.handshake_within_seconds,
            topics=self.topics,
        )

    def handshake(self, callback: Callback) -> Reply | None:  # noqa: ARG002
        """Answer an unsigned proof of ownership; None for other callbacks. Raises `Refusal`."""
        return None

    def verify(self, callback: Callback) -> None:
        """Raise `Forged` unless the platform sent this. Without a scheme nothing is trusted.

        Of several schemes the first whose proof is present decides alone: an attacker who could
        choose between two secrets would need only the weaker one. Raises `KeysUnavailable`.
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
        """The configured secrets that callbacks may be verified with, in their order."""
        options = dict.fromkeys(scheme.secrets for scheme in self.schemes)
        return tuple(
            Secret(option, position, value.get_secret_value())
            for option in options
            for position, value in enumerate(getattr(self.source, option, ()))
        )

    def fitting_secret(self, callback: Callback) -> Secret | None:
        """Return the secret that verifies a verified callback, to show which one is still in use.

        Returns None when a fetched key verified it.
        """
        if len(self.secrets) < 2:
            return next(iter(self.secrets), None)
        return next((secret for secret, alone in self._alone if _verifies(alone, callback)), None)

    @cached_property
    def _alone(self) -> list[tuple[Secret, "Adapter"]]:
        """For each secret an adapter that has no other."""
        found = []
        for secret in self.secrets:
            values = getattr(self.source, secret.option)
            only = {secret.option: (values[secret.position],)}
            others = {other.option: () for other in self.secrets if other.option != secret.option}
            found.append((secret, type(self)(self.source.model_copy(update=others | only))))
        return found

    @property
    def fetches(self) -> str | None:
        """The address to fetch keys from, or None when keys are pinned."""
        if any(self.source.keys_of(scheme.secrets) for scheme in self.schemes):
            return None
        url: str | None = getattr(self.source, "key_url", None)
        return url or self.keys_url

    def fetched_keys(self, refresh: bool = False) -> tuple[bytes, ...]:
        """Return the published keys, fetched again with ``refresh``. Raises `KeysUnavailable`."""
        url = self.fetches or ""
        try:
            return (published_key(self.fetch(url, refresh=refresh), self.key_path),)
        except Malformed as malformed:
            if not refresh:
                # An unrelated page in place of the key must not be kept for a day.
                return self.fetched_keys(refresh=True)
            raise KeysUnavailable(f"{url} answers no keys: {malformed.reason}") from None

    @abstractmethod
    def read(self, callback: Callback) -> Reading:
        """Read a verified callback. Raises `Malformed`; events of no interest are ignored."""

    def sign(self, example: Example, now: datetime) -> Example:
        """Return ``example`` as the platform would send it at ``now``. Raises `CannotSign`."""
        prepared = self.prepared(lowered(example), now)
        return sign(self.source, self.name, self.schemes, prepared, now)

    def forge(self, example: Example, now: datetime) -> Example:
        """Return ``example`` as a stranger without our secrets would send it."""
        scheme = self.schemes[-1]
        return scheme.sign(self.prepared(lowered(example), now), scheme.stranger(), now)

    def prepared(self, example: Example, now: datetime) -> Example:  # noqa: ARG002
        """Change an example as the platform does before it signs, such as encrypting it."""
        return example

    def read_word(self, word: str, callback: Callback, root: object, **more: Any) -> Event | str:
        """Return the event of the mapping ``word``, or the reason why there is none."""
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
        """Return the event that ``root`` describes by ``kind``, or the reason why there is none.

        ``word`` keeps the keys of different kinds apart; ``own`` is the id of the watched account:
        its own actions are not a customer's. ``former_keys``: keys of earlier versions, besides
        those that ``kind`` gives.
        """
        fields = kind.parse(word, root, own)
        if isinstance(fields, str):
            return fields
        if former_keys:
            fields["former_keys"] += former_keys
        if payload is not None:
            fields["payload"] = payload
        return self.event(callback, **fields)

    @staticmethod
    def excluded(result: Event | str, why: str) -> Event | str:
        """Mark the event as one that cannot earn anything, with a reason of this source's own."""
        return replace(result, excluded=why) if isinstance(result, Event) else result

    def event(
        self, callback: Callback, *, key: str, action: str, actor: str | None, **more: Any
    ) -> Event:
        """Return an event of this source. The default ``payload`` is the whole body."""
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
    """Return a target and its other names in lower case, and as they were written.

    Earlier versions stored targets as written, and these names find them.
    """
    written = [name for name in (target, *aliases) if name is not None]
    lowered = target and target.lower()
    others = dict.fromkeys([*(name.lower() for name in written), *written])
    return {
        "target": lowered,
        "target_aliases": tuple(name for name in others if name != lowered),
    }
