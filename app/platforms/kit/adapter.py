"""What must one platform's module answer?"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
)

from app.domain.events import Event
from app.domain.sources import Expected
from app.platforms.kit.callback import Ask, Callback, Example, Forged, Reading, Reply
from app.platforms.kit.fields import dig, label, optional_text, text
from app.platforms.kit.kinds import Kind
from app.platforms.kit.schemes import HmacScheme, event_key

NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$"


def _resolve(value: object, info: ValidationInfo) -> object:
    """Turn ``env:NAME`` or ``file:PATH`` into the secret, by the resolver the caller passed."""
    resolve: Callable[[object], object] | None = (info.context or {}).get("resolve")
    return resolve(value) if resolve else value


def _not_blank(secret: SecretStr) -> SecretStr:
    """An HMAC under an empty key is one that everybody can make."""
    if not secret.get_secret_value().strip():
        raise ValueError("the secret is empty")
    return secret


def _resolve_reference(value: object, info: ValidationInfo) -> object:
    """As `_resolve`, but what is no reference is taken as it stands."""
    is_reference = isinstance(value, str) and value.startswith(("env:", "file:"))
    return _resolve(value, info) if is_reference else value


SecretRef = Annotated[SecretStr, BeforeValidator(_resolve), AfterValidator(_not_blank)]


# For what proves nothing about a callback and is harmless to show, such as a verify token.
TokenRef = Annotated[SecretStr, BeforeValidator(_resolve_reference), AfterValidator(_not_blank)]


class SourceConfig(BaseModel):
    """One ``[[sources]]`` table. An adapter with more keys subclasses this."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(pattern=NAME_PATTERN, description="The last part of /webhooks/<name>.")
    platform: str = Field(description="Which adapter reads it.")
    secrets: tuple[SecretRef, ...] = Field(
        min_length=1, description="Signing secrets, every one accepted; new ones first."
    )
    accounts: str = Field(
        default="",
        pattern=rf"{NAME_PATTERN}|^$",
        description="Which platform word its accounts are linked under; the platform's own name "
        "when left out. Set it where two sources number their accounts apart.",
    )
    tolerance_seconds: float | None = Field(
        default=None, gt=0, le=86_400, description="Greatest distance of a signed time, both ways."
    )
    silent_after_seconds: float | None = Field(
        default=None,
        gt=0,
        le=31_536_000,
        description="Without a callback for longer than that, the source is called silent.",
    )

    def keys_of(self, option: str = "secrets") -> tuple[bytes, ...]:
        secrets: tuple[SecretStr, ...] = getattr(self, option)
        return tuple(secret.get_secret_value().encode() for secret in secrets)


class Adapter(ABC):
    """The one module that knows a platform. It does no I/O and sees no framework.

    A subclass declares its data and reads its payload; the web layer does the rest: handshake,
    then `verify`, then `read`.
    """

    name: ClassVar[str]
    docs: ClassVar[str]
    schemes: ClassVar[tuple[HmacScheme, ...]] = ()
    config: ClassVar[type[SourceConfig]] = SourceConfig
    tolerance_seconds: ClassVar[float] = 300
    forged_status: ClassVar[int] = 403
    accepted: ClassVar[Reply] = Reply(204)
    handshake_within_seconds: ClassVar[float | None] = None
    """The longest time between two of its handshakes while all is well; None: it sends few."""
    terms: ClassVar[str | None] = None
    """Which of its terms speak against rewarding an action, with the source; None: not found."""

    def __init__(self, source: Any) -> None:
        self.source = source

    @property
    def tolerance(self) -> float:
        return float(self.source.tolerance_seconds or self.tolerance_seconds)

    @property
    def topics(self) -> tuple[str, ...]:
        """What we must be subscribed to, where the platform's subscriptions lapse."""
        return ()

    def ask_for(self, topic: str) -> Ask | None:  # noqa: ARG002
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

        Of several schemes the first whose header is there decides alone: whoever may choose
        between two secrets needs only the weaker one.
        """
        if not self.schemes:
            raise Forged("this adapter declares no signature scheme")
        present = (scheme for scheme in self.schemes if scheme.header.lower() in callback.headers)
        scheme = next(present, self.schemes[-1])
        scheme.verify(callback, self.source.keys_of(scheme.secrets), self.tolerance)

    @abstractmethod
    def read(self, callback: Callback) -> Reading:
        """Read a verified callback. Raises `Malformed`; what is of no interest is ignored."""

    def sign(self, example: Example, now: datetime) -> dict[str, str]:
        """The headers the platform would send ``example`` with at ``now``, by our first secret."""
        for scheme in self.schemes:
            for key in self.source.keys_of(scheme.secrets)[:1]:
                return scheme.sign(example.body, example.headers, key, now)
        raise NotImplementedError(f"{self.source.name} holds no secret that {self.name} signs with")

    def read_as(
        self,
        kind: Kind,
        callback: Callback,
        *,
        word: str,
        root: object,
        payload: bytes,
        own: object = None,
    ) -> Event | str:
        """The event of ``kind`` that ``root`` tells of, or why it is none.

        ``word`` keeps the keys of different kinds apart; ``own`` is the id of the account that is
        watched: what it does itself is no customer's action.
        """
        actor = dig(root, kind.actor)
        if actor is None:
            return f"{word} names no actor"
        if own is not None and text(actor, kind.actor) == text(own, "the account's id"):
            return f"{word} is by the account itself"
        first, *others = kind.identity
        identity = [optional_text(dig(root, path), path) for path in others]
        identity.insert(0, text(dig(root, first), first))
        time = dig(root, kind.time.path) if kind.time else None
        return self.event(
            callback,
            key=event_key(word, *identity),
            action=kind.action,
            actor=text(actor, kind.actor),
            actor_handle=label(dig(root, kind.handle)) if kind.handle else None,
            target=text(dig(root, kind.target), kind.target),
            occurred_at=kind.time.read(time, kind.time.path)
            if kind.time and time is not None
            else callback.received_at,
            undone=kind.undone,
            undoes=event_key(kind.undoes, *identity) if kind.undoes else None,
            payload=payload,
        )

    def event(self, callback: Callback, *, key: str, action: str, actor: str, **more: Any) -> Event:
        """An event of this source; the payload is the whole body unless ``payload`` is given."""
        more.setdefault("payload", callback.body)
        more.setdefault("occurred_at", callback.received_at)
        return Event(
            source=self.source.name,
            key=key,
            platform=self.source.accounts or self.name,
            action=action,
            actor=actor,
            received_at=callback.received_at,
            **more,
        )
