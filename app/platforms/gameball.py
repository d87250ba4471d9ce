"""Gameball: its webhooks about rewards, which cause lookups."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from app.domain.nudges import Nudge
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Example, Reading
from app.platforms.kit.encodings import matches_any
from app.platforms.kit.fields import json_object, text
from app.platforms.kit.options import SecretRef, SourceConfig, matching
from app.platforms.kit.places import Body, Header, Key, Message
from app.platforms.kit.schemes import HashScheme, TokenScheme
from app.platforms.kit.signing import lowered, sign

# https://docs.gameball.co/api-reference/webhooks/webhook-topics
TOPICS = ("customer.notification.push", "customer.profile.updated")
# Our own word: docs/gameball-webhooks.md says what the body of an automation's webhook must be.
# https://docs.gameball.co/product-documentation/automation-campaigns/webhooks-in-automation
ACHIEVED = "reward_campaign.achieved"
LONGEST_CUSTOMER_ID, LAST_CAMPAIGN_ID = 100, 2_147_483_647
AS_TAKEN = matching(
    r"[\x21-\x7e]{24,256}", "a header's secret has 24 to 256 characters, none of them a space"
)


class Signature(HashScheme):
    """A SHA-1 of the body, a colon and the Secret Key. It covers neither a time nor an id.

    Gameball's sample hashes the parsed body as JavaScript serialises it, which may differ from the
    body in white space and in the form of numbers.
    https://docs.gameball.co/api-reference/webhooks/subscribing
    """

    def is_proof(self, claimed: str, of: Message, keys: Any) -> bool:
        if matches_any(claimed, [self.made(of, key) for key in keys]):
            return True
        written = Example(_written_again(of.body))
        return matches_any(claimed, [self.made(written, key) for key in keys])


class GameballSource(SourceConfig):
    secrets: tuple[SecretRef, ...] = Field(
        min_length=1, description="Gameball's Secret Key, which signs the two topics."
    )
    automation_secrets: tuple[Annotated[SecretRef, AS_TAKEN], ...] = Field(
        default=(), description="The X-Vouch-Secret header of an automation's webhook."
    )
    proves_grants: bool = Field(
        default=False,
        description="Trust an automation's webhook about a reward that Gameball's reads cannot "
        "show. Danger: anyone with an automation secret can make rewards `granted`.",
    )
    accounts: Literal[""] = Field(default="", description="Not used: Gameball names no accounts.")


class Gameball(Adapter):
    """Gameball's webhooks cause a lookup; they prove a reward only where that is configured.

    Only the owner of the reward is kept of a body. The profile in it is personal data.
    """

    name = "gameball"
    docs = "https://docs.gameball.co/api-reference/webhooks/overview"
    config: ClassVar[type[SourceConfig]] = GameballSource
    schemes = (
        Signature(proof=Header("X-GB-Signature"), signed=(Body(), b":", Key()), digest="sha1"),
        TokenScheme(proof=Header("X-Vouch-Secret"), secrets="automation_secrets"),
    )
    reports_rewards = True
    # When the signature does not match the raw body, try the body serialised again.
    unproven_bytes = 65_536

    def read(self, callback: Callback) -> Reading:
        body = json_object(callback.body)
        word = text(body.get("event"), "event")
        if word not in (ACHIEVED, *TOPICS):
            return Reading(ignored=(f"{word} tells of no reward",))
        customer_id = text(body.get("customer_id"), "customer_id", LONGEST_CUSTOMER_ID)
        nudge = Nudge(customer_id=customer_id, heard_at=callback.received_at)
        if word != ACHIEVED:
            return Reading(nudges=(nudge,))
        campaign = _campaign(body.get("campaign_id"))
        if campaign is None:
            return Reading(nudges=(nudge,), ignored=("campaign_id is no campaign's number",))
        proves = self.source.proves_grants
        return Reading(nudges=(replace(nudge, challenge_id=campaign, is_proof=proves),))

    def sign(self, example: Example, now: datetime) -> Example:
        """Sign a topic with the Secret Key, or set the secret header of an automation's webhook."""
        filled = lowered(example)
        is_topic = "x-gb-webhook-version" in filled.headers
        schemes = self.schemes if is_topic else self.schemes[1:]
        return sign(self.source, self.name, schemes, filled, now)


def _campaign(value: object) -> int | None:
    """Read the campaign's number, which people type into a template."""
    digits = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= len(str(LAST_CAMPAIGN_ID))
    return int(digits) if is_number and 1 <= int(digits) <= LAST_CAMPAIGN_ID else None


def _written_again(body: bytes) -> bytes:
    """Return a JSON body as ``JSON.stringify`` writes it; other bodies are unchanged."""
    try:
        value = json.loads(body, parse_float=_as_javascript, parse_constant=str)
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return body


def _as_javascript(digits: str) -> int | float:
    number = float(digits)
    return int(number) if number.is_integer() and abs(number) < 1e21 else number
