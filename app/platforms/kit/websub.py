"""Subscriptions to feeds through a hub: WebSub, and PubSubHubbub that it grew from."""

# https://www.w3.org/TR/websub/
# https://pubsubhubbub.github.io/PubSubHubbub/pubsubhubbub-core-0.4.html

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar
from urllib.parse import urlencode

from pydantic import AfterValidator, Field, SecretStr

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import (
    Callback,
    Forged,
    Malformed,
    Reply,
    SubscriptionLease,
    SubscriptionRequest,
)
from app.platforms.kit.encodings import matches_any
from app.platforms.kit.fields import dig, listed, text
from app.platforms.kit.options import SecretRef, SourceConfig, TokenRef
from app.platforms.kit.places import Header, Message
from app.platforms.kit.schemes import HmacScheme


def _as_a_hub_takes_it(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value().encode()) >= 200:
        raise ValueError("a hub takes secrets of fewer than 200 bytes")
    return secret


class WebSubSource(SourceConfig):
    secrets: tuple[Annotated[SecretRef, AfterValidator(_as_a_hub_takes_it)], ...] = Field(
        min_length=1, description="The hub.secret of the subscriptions, of fewer than 200 bytes."
    )
    verify_token: TokenRef = Field(
        description="Part of the address that the hub calls, as ?verify_token=…: without it "
        "anybody could claim that our subscriptions continue."
    )
    callback_url: str = Field(
        default="",
        pattern=r"^(https://[^\s?#]+)?$",
        description="The public address of this source for the hub. The worker then "
        "subscribes and renews by itself; without it, you have to.",
    )
    hub_url: str = Field(
        default="",
        pattern=r"^(https://[^\s#]+)?$",
        description="Another hub. Danger: it receives the secret.",
    )
    lease_seconds: int = Field(
        default=432_000, ge=3_600, le=31_536_000, description="Length of a requested subscription."
    )


# https://www.w3.org/TR/websub/#recognized-algorithms-for-x-hub-signature
DIGESTS = ("sha1", "sha256", "sha384", "sha512")


@dataclass(frozen=True, slots=True, kw_only=True)
class HubScheme(HmacScheme):
    """``method=signature``, with any of the four methods that a hub may choose.

    SHA-1 is as good as the others here: its weakness does not affect an HMAC, and the secret is the
    same.
    """

    def is_proof(self, claimed: str, of: Message, keys: Sequence[bytes]) -> bool:
        method, _, signature = claimed.partition("=")
        if method not in DIGESTS:
            return False
        content = self.content(of)
        made = [hmac.digest(key, content, method).hex() for key in keys]
        return matches_any(signature.lower(), made)


class WebSubAdapter(Adapter):
    """A subclass declares its `topics`, and reads the feeds."""

    hub: ClassVar[str]
    config: ClassVar[type[SourceConfig]] = WebSubSource
    schemes = (HubScheme(proof=Header("X-Hub-Signature"), prefix="sha1=", digest="sha1"),)
    # A subscriber must not reveal that it rejected a callback (PubSubHubbub 0.4, section 8).
    forged_status = 204
    malformed_status = 204

    def ask_for(self, topic: str) -> SubscriptionRequest | None:
        if not self.source.callback_url:
            return None
        token = urlencode({"verify_token": self.source.verify_token.get_secret_value()})
        form = {
            "hub.mode": "subscribe",
            "hub.topic": topic,
            "hub.callback": f"{self.source.callback_url}?{token}",
            "hub.verify": "async",
            "hub.secret": self.source.secrets[0].get_secret_value(),
            "hub.lease_seconds": str(self.source.lease_seconds),
        }
        return SubscriptionRequest(self.source.hub_url or self.hub, form)

    def topic_of(self, address: str) -> str | None:
        """Return our topic that a hub means by ``address``, or None."""
        return address if address in self.topics else None

    def is_of_a_topic(self, feed: object) -> bool:
        """Whether a feed is one of our topics, by its own address, if it has one.

        A subscription may outlive the configuration that requested it.
        """
        links = (link for link in listed(dig(feed, "link")) if dig(link, "@rel") == "self")
        own = dig(next(links, None), "@href")
        return own is None or _query(own) in map(_query, self.topics)

    def handshake(self, callback: Callback) -> Reply | None:
        if callback.method != "GET":
            return None
        query, token = callback.query, self.source.verify_token.get_secret_value()
        if not matches_any(query.get("verify_token", query.get("hub.verify_token", "")), [token]):
            raise Forged("verify_token is not the configured one")
        topic, mode = self.topic_of(query.get("hub.topic", "")), query.get("hub.mode")
        if topic is None:
            raise Malformed("hub.topic is not a topic of this source")
        if mode == "denied":
            return Reply(status=204, notice=f"the hub denied {topic}")
        if mode != "subscribe":
            raise Malformed("hub.mode is not one that we request")
        challenge = text(query.get("hub.challenge"), "hub.challenge")
        return Reply(
            status=200, body=challenge, grant=_grant(topic, query.get("hub.lease_seconds", ""))
        )


def _grant(topic: str, lease: str) -> SubscriptionLease | None:
    """Return how long the hub grants the subscription, which may be shorter than requested."""
    is_number = lease.isascii() and lease.isdigit() and len(lease) < 9
    return SubscriptionLease(topic, int(lease)) if is_number and int(lease) > 0 else None


def _query(address: str) -> str:
    """Return the query, which distinguishes a hub's topics however their address is written."""
    return address.partition("?")[2] or address
