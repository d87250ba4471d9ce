"""The options of a ``[[sources]]`` table, and how their secrets are read."""

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
    """Turn ``env:NAME`` or ``file:PATH`` into the secret, with the caller's resolver."""
    resolve: Callable[[object], object] | None = (info.context or {}).get("resolve")
    return resolve(value) if resolve else value


def _not_blank(secret: SecretStr) -> SecretStr:
    """Refuse an empty secret: anybody can make an HMAC under an empty key."""
    value = secret.get_secret_value()
    if not value.strip():
        raise ValueError("the secret is empty")
    try:
        value.encode()
    except UnicodeEncodeError:
        # Otherwise every callback would fail on it.
        raise ValueError("the secret is not UTF-8") from None
    return secret


def _resolve_reference(value: object, info: ValidationInfo) -> object:
    """Like `_resolve`, but a value that is not a reference is used as it is."""
    is_reference = isinstance(value, str) and value.startswith(("env:", "file:"))
    return _resolve(value, info) if is_reference else value


def matching(pattern: str, rule: str) -> AfterValidator:
    """Return a validator for secrets of a known form; ``rule`` is the error message."""

    def check(secret: SecretStr) -> SecretStr:
        if not re.fullmatch(pattern, secret.get_secret_value()):
            raise ValueError(rule)
        return secret

    return AfterValidator(check)


SecretRef = Annotated[SecretStr, BeforeValidator(_resolve), AfterValidator(_not_blank)]


# For values that are harmless to show, such as a verify token or a public key.
TokenRef = Annotated[SecretStr, BeforeValidator(_resolve_reference), AfterValidator(_not_blank)]


class SourceConfig(BaseModel):
    """One ``[[sources]]`` table. Adapters with more options subclass this."""

    # Most platforms are not configured: building validators for all of them would take four
    # megabytes.
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True
    )

    name: str = Field(pattern=NAME_PATTERN, description="The last part of /webhooks/<name>.")
    platform: str = Field(description="The adapter that reads it.")
    secrets: tuple[SecretRef, ...] = Field(
        min_length=1, description="Signing secrets, every one accepted; new ones first."
    )
    accounts: str = Field(
        default="",
        pattern=rf"{NAME_PATTERN}|^$",
        description="The platform name under which its accounts are linked; by default the "
        "platform's own. Set it when two sources have separate account ids.",
    )
    tolerance_seconds: float | None = Field(
        default=None, gt=0, le=86_400, description="Greatest difference of a signed time from ours."
    )
    silent_after_seconds: float | None = Field(
        default=None,
        gt=0,
        le=31_536_000,
        description="After this time without a callback the source is reported as silent.",
    )
    max_bytes: int | None = Field(
        default=None,
        ge=1_024,
        le=67_108_864,
        description="Largest body of its callbacks; a larger one gets a 413.",
    )

    def keys_of(self, option: str = "secrets") -> tuple[bytes, ...]:
        secrets: tuple[SecretStr, ...] = getattr(self, option)
        return tuple(secret.get_secret_value().encode() for secret in secrets)
