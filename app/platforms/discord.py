"""Discord: Webhook Events, and interactions with an app of yours, which name the member."""

import json
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reading, Reply
from app.platforms.kit.event_mappings import EventMapping, iso, unix
from app.platforms.kit.fields import dig, json_object, optional_text
from app.platforms.kit.key_pairs import Ed25519Scheme, as_ed25519
from app.platforms.kit.options import SourceConfig, TokenRef
from app.platforms.kit.places import Body, Header, SignedTime
from app.platforms.kit.terms import Terms

SIGNED_AT = Header("X-Signature-Timestamp")
PING, EVENT = 0, 1
PONG, MESSAGE, NO_CHANGE, ONLY_FOR_THEM = 1, 4, 6, 64

COMMAND = EventMapping(
    action="command",
    actor="user.id",
    target="data.name",
    identity=("id",),
    time=unix("signed_at"),
    handle="user.username",
)
AUTHORIZED = EventMapping(
    action="authorize",
    actor="event.data.user.id",
    target="application_id",
    identity=("event.data.user.id", "event.timestamp"),
    time=iso("event.timestamp"),
    handle="event.data.user.username",
)
BOUGHT = EventMapping(
    action="purchase",
    actor="event.data.user_id",
    target="event.data.sku_id",
    identity=("event.data.id",),
    time=iso("event.timestamp"),
)
# https://docs.discord.com/developers/interactions/receiving-and-responding#interaction-object-interaction-type
INTERACTIONS = {2: "command", 3: "component", 5: "modal"}
# https://docs.discord.com/developers/resources/entitlement#entitlement-object-entitlement-types
# The others were paid for by somebody else or not at all: gifts, tests, free ones.
PAID_FOR = (1, 8)


class DiscordSource(SourceConfig):
    secrets: tuple[Annotated[TokenRef, AfterValidator(as_ed25519)], ...] = Field(
        min_length=1, description="The application's public key, of 64 hexadecimal digits."
    )
    guilds: tuple[str, ...] = Field(
        default=(),
        description="Only interactions in these servers count; by default in any, and in DMs. "
        "Danger: anyone can add a public app to their own server and use it there.",
    )
    thanks: str = Field(
        default="Thank you, we have noted it.",
        min_length=1,
        max_length=2000,
        description="The reply to somebody who uses a command; nobody else sees it.",
    )


class Discord(Adapter):
    """Discord sends bad signatures on purpose, and removes an address that accepts them."""

    name = "discord"
    docs = "https://docs.discord.com/developers/events/webhook-events"
    config: ClassVar[type[SourceConfig]] = DiscordSource
    schemes = (
        Ed25519Scheme(
            proof=Header("X-Signature-Ed25519"),
            signed=(SIGNED_AT, Body()),
            time=SignedTime(SIGNED_AT, "unix"),
        ),
    )
    # Discord repeats an unanswered callback for ten minutes; how it signs the repeats is not
    # documented.
    tolerance_seconds = 900
    forged_status = 401
    deadline_seconds = 3
    secret_fields = ("token",)
    terms = (
        Terms(
            "Developer Policy: API data may not be used for eligibility considerations for "
            "benefits, nor engagement be manipulated; whether a reward is such a benefit, ask your "
            "lawyers",
            "https://support-dev.discord.com/hc/articles/8563934450327",
        ),
    )
    kinds: ClassVar[dict[str, EventMapping]] = {
        "command": COMMAND,
        "component": replace(COMMAND, action="component", target="data.custom_id"),
        "modal": replace(COMMAND, action="modal", target="data.custom_id"),
        # https://docs.discord.com/developers/events/webhook-events#event-types
        "APPLICATION_AUTHORIZED": AUTHORIZED,
        "APPLICATION_DEAUTHORIZED": replace(AUTHORIZED, undone=True),
        "ENTITLEMENT_CREATE": BOUGHT,
        # A refund. An expired entitlement is not deleted: that is an ENTITLEMENT_UPDATE.
        "ENTITLEMENT_DELETE": replace(BOUGHT, undone=True, undoes="ENTITLEMENT_CREATE"),
    }

    def read(self, callback: Callback) -> Reading:
        body = callback.parsed(json_object)
        if "event" in body:
            word = optional_text(dig(body, "event.type"), "event.type") or "another kind"
            if word.startswith("ENTITLEMENT_") and dig(body, "event.data.type") not in PAID_FOR:
                return Reading(ignored=(f"{word} of what the account did not pay for",))
            return Reading.of(self.read_word(word, callback, body))
        # Type 1 is an event on one of the two addresses and a ping on the other; only events carry
        # one.
        if body.get("type") == PING:
            return Reading(reply=self.accepted, handshake=True)
        if body.get("type") == EVENT:
            return Reading(reply=_json(type=PONG), handshake=True)
        return self._interaction(callback, body)

    def _interaction(self, callback: Callback, body: dict[str, Any]) -> Reading:
        sort = body.get("type")
        word = INTERACTIONS.get(sort if isinstance(sort, int) else 0, "another interaction")
        reply = _json(type=NO_CHANGE)
        # A form may have no message of ours to leave unchanged.
        if word in ("command", "modal"):
            reply = _json(
                type=MESSAGE, data={"content": self.source.thanks, "flags": ONLY_FOR_THEM}
            )
        guild = body.get("guild_id")
        if self.source.guilds and guild not in self.source.guilds:
            return Reading(ignored=(f"{word} outside the configured servers",), reply=reply)
        user = dig(body, "member.user") or body.get("user")
        if dig(user, "bot") is True:
            return Reading(ignored=(f"{word} by a bot",), reply=reply)
        root = {**body, "user": user, "signed_at": callback.header(SIGNED_AT.name)}
        return Reading.of(self.read_word(word, callback, root), reply)


def _json(**answer: Any) -> Reply:
    return Reply(status=200, body=json.dumps(answer), content_type="application/json")
