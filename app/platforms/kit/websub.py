"""How are feeds subscribed to through a hub? WebSub, and the PubSubHubbub that it grew from.

https://www.w3.org/TR/websub/ and https://pubsubhubbub.github.io/PubSubHubbub/pubsubhubbub-core-0.4.html
"""

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
        description="Stands in the address that the hub calls, as ?verify_token=…: without it "
        "anybody could tell us that our subscriptions last."
    )
    callback_url: str = Field(
        default="",
        pattern=r"^(https://[^\s?#]+)?$",
        description="Where the hub reaches this source from outside. The worker then subscribes "
        "and renews by itself; left out, it asks the hub for nothing.",
    )
    hub_url: str = Field(
        default="",
        pattern=r"^(https://[^\s#]+)?$",
        description="Another hub. Danger: it is told the secret.",
    )
    lease_seconds: int = Field(
        default=432_000, ge=3_600, le=31_536_000, description="How long to ask a subscription for."
    )


# https://www.w3.org/TR/websub/#recognized-algorithms-for-x-hub-signature
DIGESTS = ("sha1", "sha256", "sha384", "sha512")


@dataclass(frozen=True, slots=True)
class HubScheme(HmacScheme):
    """``method=signature``, by whichever of the four methods the hub chose.

    SHA-1 is as good as the others here: an HMAC does not rest on its weakness, and the secret is
    the same.
    """

    def is_proof(self, claimed: str, of: Message, keys: Sequence[bytes]) -> bool:
        method, _, signature = claimed.partition("=")
        if method not in DIGESTS:
            return False
        content = self.content(of)
        made = [hmac.digest(key, content, method).hex() for key in keys]
        return matches_any(signature.lower(), made)


class WebSubAdapter(Adapter):
    """A subclass says its `topics`, and reads the feeds."""

    hub: ClassVar[str]
    config: ClassVar[type[SourceConfig]] = WebSubSource
    schemes = (HubScheme(Header("X-Hub-Signature"), prefix="sha1=", digest="sha1"),)
    # Whoever does not believe a callback must not say so (PubSubHubbub 0.4, section 8).
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
        """The topic of ours that a hub means by ``address``; None: it is none."""
        return address if address in self.topics else None

    def is_of_a_topic(self, feed: object) -> bool:
        """Whether a feed is one of our topics, by the address that it says is its own, if it does.

        A subscription outlives the configuration that asked for it.
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
            raise Malformed("hub.topic is none that the source is configured for")
        if mode == "denied":
            return Reply(204, notice=f"the hub denied {topic}")
        if mode != "subscribe":
            raise Malformed("hub.mode is one that we never ask for")
        challenge = text(query.get("hub.challenge"), "hub.challenge")
        return Reply(200, challenge, grant=_grant(topic, query.get("hub.lease_seconds", "")))


def _grant(topic: str, lease: str) -> SubscriptionLease | None:
    """How long the hub promises to call, which may be less than what was asked for."""
    is_number = lease.isascii() and lease.isdigit() and len(lease) < 9
    return SubscriptionLease(topic, int(lease)) if is_number and int(lease) > 0 else None


def _query(address: str) -> str:
    """What tells the topics of a hub apart, in however many ways their address may be written."""
    return address.partition("?")[2] or address
