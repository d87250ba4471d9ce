"""The common part of Meta's platforms, whose callbacks differ only in their updates."""

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reply
from app.platforms.kit.fields import array, dig, listed
from app.platforms.kit.handshakes import verified_hub
from app.platforms.kit.options import SourceConfig, TokenRef
from app.platforms.kit.places import Header
from app.platforms.kit.schemes import HmacScheme
from app.platforms.kit.terms import Terms

POLICY = Terms(
    "Platform Policy 3.2: only log-in to your app, entering a promotion on its Page or on "
    "Instagram, check-in at a place and Messenger contact may be incentivized, no other action",
    "https://developers.facebook.com/devpolicy/",
)


class HubSource(SourceConfig):
    verify_token: TokenRef = Field(description="The verify token in the platform's settings.")


class HubAdapter(Adapter):
    """The base of Meta's platforms: a verify token, and one signature header over the body."""

    config: ClassVar[type[SourceConfig]] = HubSource
    schemes = (HmacScheme(proof=Header("X-Hub-Signature-256"), prefix="sha256="),)
    accepted = Reply(status=200)

    def handshake(self, callback: Callback) -> Reply | None:
        return verified_hub(callback, self.source.verify_token.get_secret_value())


def updates(body: dict[str, Any]) -> Iterator[tuple[dict[str, Any], object, object]]:
    """Yield each update of a batch: the envelope with only this update, its field and its value."""
    for entry in array(body.get("entry"), "entry"):
        head = {name: dig(entry, name) for name in ("id", "time")}
        for change in listed(dig(entry, "changes")):
            yield {**head, "changes": [change]}, dig(change, "field"), dig(change, "value")
        for message in listed(dig(entry, "messaging")):
            yield {**head, "messaging": [message]}, "messaging", message
        # Some of these platforms send field and value without `changes` around them.
        if not isinstance(entry, dict):
            yield head, None, None
        elif "field" in entry:
            yield entry, entry["field"], entry.get("value")
