"""Whom do we wake? One ``[[receivers]]`` table for each."""

from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from app.platforms.kit.encodings import unb64
from app.platforms.kit.options import NAME_PATTERN, SecretRef


class ReceiverKind(StrEnum):
    """How a receiver wants to be told."""

    WEBHOOK = "webhook"  # Standard Webhooks, signed by us
    SLACK = "slack"  # an incoming webhook of Slack, or of what understands the same


def is_loopback(host: str) -> bool:
    """Whether a host's name can be nothing but this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _sendable(url: SecretStr) -> SecretStr:
    """Refuse what would leave the machine in the clear. The text must not quote the address."""
    try:
        parts = urlsplit(url.get_secret_value())
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is not an address") from None
    if not host or parts.scheme not in ("https", "http"):
        raise ValueError("must begin with https://, and name a host")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("must begin with https:// (http:// only for this machine itself)")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or a password")
    return url


def _signable(secret: SecretStr) -> SecretStr:
    raw = unb64(secret.get_secret_value().removeprefix("whsec_"))
    if raw is None or not 24 <= len(raw) <= 64:
        raise ValueError("write whsec_ and 24 to 64 bytes in base64")
    return secret


class Receiver(BaseModel):
    """Somebody who is told of alerts. The address is kept like a secret: Slack's is one."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(pattern=NAME_PATTERN, description="How the log and the history name it.")
    kind: ReceiverKind = Field(default=ReceiverKind.WEBHOOK, description="How it wants to be told.")
    url: Annotated[SecretRef, AfterValidator(_sendable)] = Field(
        description="Where to post. https, or http on this machine; redirects are not followed."
    )
    secret: Annotated[SecretRef, AfterValidator(_signable)] | None = Field(
        default=None, description="Signs what a webhook is told: whsec_ and base64."
    )

    @model_validator(mode="after")
    def _is_signed(self) -> Self:
        if (self.kind is ReceiverKind.WEBHOOK) != (self.secret is not None):
            raise ValueError("a webhook needs a secret, and Slack has none")
        return self
