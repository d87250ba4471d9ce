"""What must one platform's module answer?"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationInfo

from app.domain.events import Event
from app.platforms.kit.callback import Callback, Example, Forged, Reading, Reply
from app.platforms.kit.schemes import HmacScheme

NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$"


def _resolve(value: object, info: ValidationInfo) -> object:
    """Turn ``env:NAME`` or ``file:PATH`` into the secret, by the resolver the caller passed."""
    resolve: Callable[[object], object] | None = (info.context or {}).get("resolve")
    return resolve(value) if resolve else value


SecretRef = Annotated[SecretStr, BeforeValidator(_resolve)]


class SourceConfig(BaseModel):
    """One ``[[sources]]`` table. An adapter with more keys subclasses this."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=NAME_PATTERN, description="The last part of /webhooks/<name>.")
    platform: str = Field(description="Which adapter reads it.")
    secrets: tuple[SecretRef, ...] = Field(
        default=(), description="Signing secrets, every one accepted; new ones first."
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

    @property
    def keys(self) -> tuple[bytes, ...]:
        return tuple(secret.get_secret_value().encode() for secret in self.secrets)


class Adapter(ABC):
    """The one module that knows a platform. It does no I/O and sees no framework.

    A subclass declares its data and reads its payload; the web layer does the rest: handshake,
    then `verify`, then `read`.
    """

    name: ClassVar[str]
    docs: ClassVar[str]
    scheme: ClassVar[HmacScheme | None] = None
    config: ClassVar[type[SourceConfig]] = SourceConfig
    tolerance_seconds: ClassVar[float] = 300
    forged_status: ClassVar[int] = 403
    accepted: ClassVar[Reply] = Reply(204)
    terms: ClassVar[str | None] = None
    """Which of its terms speak against rewarding an action, with the source; None: not found."""

    def __init__(self, source: Any) -> None:
        self.source = source

    @property
    def tolerance(self) -> float:
        return float(self.source.tolerance_seconds or self.tolerance_seconds)

    def handshake(self, callback: Callback) -> Reply | None:  # noqa: ARG002
        """Answer an unsigned proof of ownership; None when this is none. Raises `Forged`."""
        return None

    def verify(self, callback: Callback) -> None:
        """Raise `Forged` unless the platform sent this. Fails closed: no scheme, no trust."""
        if self.scheme is None:
            raise Forged("this adapter declares no signature scheme")
        self.scheme.verify(callback, self.source.keys, self.tolerance)

    @abstractmethod
    def read(self, callback: Callback) -> Reading:
        """Read a verified callback. Raises `Malformed`; what is of no interest is ignored."""

    def sign(self, example: Example, now: datetime) -> dict[str, str]:
        """The headers the platform would send ``example`` with at ``now``, by our first secret."""
        if self.scheme is None:
            raise NotImplementedError(self.name)
        return self.scheme.sign(example.body, example.headers, self.source.keys[0], now)

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
