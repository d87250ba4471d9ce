"""What does a ``[[sources]]`` table hold, and where do its secrets come from?"""

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
)

from app.domain.texts import NAME_PATTERN as NAME_PATTERN


def _resolve(value: object, info: ValidationInfo) -> object:
    """Turn ``env:NAME`` or ``file:PATH`` into the secret, by the resolver the caller passed."""
    resolve: Callable[[object], object] | None = (info.context or {}).get("resolve")
    return resolve(value) if resolve else value


def _not_blank(secret: SecretStr) -> SecretStr:
    """An HMAC under an empty key is one that everybody can make."""
    value = secret.get_secret_value()
    if not value.strip():
        raise ValueError("the secret is empty")
    try:
        value.encode()
    except UnicodeEncodeError:
        # As it would be found out at every callback.
        raise ValueError("the secret is not UTF-8") from None
    return secret


def _resolve_reference(value: object, info: ValidationInfo) -> object:
    """As `_resolve`, but what is no reference is taken as it stands."""
    is_reference = isinstance(value, str) and value.startswith(("env:", "file:"))
    return _resolve(value, info) if is_reference else value


def matching(pattern: str, rule: str) -> AfterValidator:
    """A validator for a secret of a known form; ``rule`` says the form to people."""

    def check(secret: SecretStr) -> SecretStr:
        if not re.fullmatch(pattern, secret.get_secret_value()):
            raise ValueError(rule)
        return secret

    return AfterValidator(check)


SecretRef = Annotated[SecretStr, BeforeValidator(_resolve), AfterValidator(_not_blank)]


# For what is harmless to show, such as a verify token or a public key.
TokenRef = Annotated[SecretStr, BeforeValidator(_resolve_reference), AfterValidator(_not_blank)]


class SourceConfig(BaseModel):
    """One ``[[sources]]`` table. An adapter with more keys subclasses this."""

    # Most platforms are not configured: what checks their options, four megabytes, is not made.
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True
    )

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
    max_bytes: int | None = Field(
        default=None,
        ge=1_024,
        le=67_108_864,
        description="Largest body of its callbacks; a larger one is answered 413.",
    )

    def keys_of(self, option: str = "secrets") -> tuple[bytes, ...]:
        secrets: tuple[SecretStr, ...] = getattr(self, option)
        return tuple(secret.get_secret_value().encode() for secret in secrets)
