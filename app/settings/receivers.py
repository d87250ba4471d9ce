"""The ``[[receivers]]`` tables, which name the receivers of alerts."""

from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from app.platforms.kit.encodings import unb64
from app.platforms.kit.options import NAME_PATTERN, SecretRef


class ReceiverKind(StrEnum):
    """The format that a receiver expects."""

    WEBHOOK = "webhook"  # Standard Webhooks, signed by us
    SLACK = "slack"  # an incoming webhook of Slack, or one that accepts the same


def is_loopback(host: str) -> bool:
    """Whether a host's name can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _sendable(url: SecretStr) -> SecretStr:
    """Refuse addresses that would send unencrypted. The message must not quote the address."""
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
    """A receiver of alerts. Its address is treated as a secret, because Slack's is one."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(pattern=NAME_PATTERN, description="Its name in the log and the history.")
    kind: ReceiverKind = Field(
        default=ReceiverKind.WEBHOOK, description="The format that it expects."
    )
    url: Annotated[SecretRef, AfterValidator(_sendable)] = Field(
        description="The address to post to: https, or http on this machine. No redirects."
    )
    secret: Annotated[SecretRef, AfterValidator(_signable)] | None = Field(
        default=None, description="Signs a webhook's messages: whsec_ and base64."
    )

    @model_validator(mode="after")
    def _is_signed(self) -> Self:
        if (self.kind is ReceiverKind.WEBHOOK) != (self.secret is not None):
            raise ValueError("a webhook needs a secret, and Slack must not have one")
        return self
