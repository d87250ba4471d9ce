"""Strava: activities of athletes who authorised your app."""

from dataclasses import replace
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reading, Reply
from app.platforms.kit.event_mappings import EventMapping, unix
from app.platforms.kit.fields import dig, json_object, optional_text
from app.platforms.kit.handshakes import verified_hub
from app.platforms.kit.meta_family import HubSource
from app.platforms.kit.options import SecretRef, SourceConfig
from app.platforms.kit.places import Body, Item, Query, SignedTime
from app.platforms.kit.schemes import HmacScheme, TokenScheme

SIGNED_AT = Item("X-Strava-Signature", "t")
SIGNATURE = HmacScheme(
    proof=Item("X-Strava-Signature", "v1"),
    signed=(SIGNED_AT, b".", Body()),
    time=SignedTime(SIGNED_AT, "unix"),
)
# It is unclear whether Strava signs for every app; an address that only Strava knows also works.
ADDRESS = TokenScheme(proof=Query("token"), secrets="address_tokens")
ACTIVITY = EventMapping(
    action="post",
    actor="owner_id",
    target="object_id",
    identity=("object_id",),
    time=unix("event_time"),
)


class StravaSource(HubSource):
    secrets: tuple[SecretRef, ...] = Field(default=(), description="Keys of Strava's signatures.")
    address_tokens: tuple[SecretRef, ...] = Field(
        default=(), description="Accept unsigned callbacks whose address carries one, as ?token=…"
    )
    subscription_id: str = Field(default="", description="Accept only this subscription's events.")

    @model_validator(mode="after")
    def _one_is_there(self) -> Self:
        if not self.secrets and not self.address_tokens:
            raise ValueError("needs secrets (signatures) or address_tokens (none)")
        return self


class Strava(Adapter):
    name = "strava"
    docs = "https://developers.strava.com/docs/webhooks/"
    config: ClassVar[type[SourceConfig]] = StravaSource
    accepted = Reply(status=200)
    deadline_seconds = 2
    # https://developers.strava.com/docs/webhooks/#event-data
    kinds: ClassVar[dict[str, EventMapping]] = {
        "activity.create": ACTIVITY,
        "activity.delete": replace(ACTIVITY, undone=True, undoes="activity.create"),
        "athlete.deauthorize": EventMapping(
            action="authorize",
            actor="owner_id",
            target=None,
            identity=("event_time", "owner_id"),
            time=unix("event_time"),
            undone=True,
        ),
    }

    def __init__(self, source: Any) -> None:
        super().__init__(source)
        # Without a key we cannot check a signature, which is not the callback's fault.
        usable = (SIGNATURE, source.secrets), (ADDRESS, source.address_tokens)
        self.schemes = tuple(scheme for scheme, keys in usable if keys)

    def handshake(self, callback: Callback) -> Reply | None:
        return verified_hub(callback, self.source.verify_token.get_secret_value(), as_json=True)

    def read(self, callback: Callback) -> Reading:
        body, ours = json_object(callback.body), self.source.subscription_id
        parts = (optional_text(body.get(key), key) for key in ("object_type", "aspect_type"))
        word = ".".join(part or "another" for part in parts)
        subscription = optional_text(body.get("subscription_id"), "subscription_id")
        if ours and subscription != ours:
            return Reading(ignored=(f"{word} of another subscription",))
        if word == "athlete.update" and dig(body, "updates.authorized") in ("false", False):
            word = "athlete.deauthorize"
        return Reading.of(self.read_word(word, callback, body))
