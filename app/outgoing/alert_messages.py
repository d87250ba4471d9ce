"""What does a receiver of alerts read?"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.domain.clock import iso_utc
from app.platforms.kit.encodings import unb64
from app.platforms.kit.standard import ID, TIMESTAMP, V1
from app.settings.receivers import Receiver, ReceiverKind

_SIGNATURE = "webhook-signature"


@dataclass(frozen=True, slots=True)
class AlertText:
    """One notice: what happened to which alert. ``id`` stays the same however often it is sent."""

    id: str
    what: str
    kind: str
    subject: str
    text: str
    raised_at: datetime
    cleared_at: datetime | None


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted."""

    body: bytes
    headers: Mapping[str, str]


def message_for(receiver: Receiver, told: AlertText, now: datetime) -> Message:
    if receiver.kind is ReceiverKind.SLACK:
        return Message(_json({"text": _line(told)}), {"Content-Type": "application/json"})
    secret = receiver.secret.get_secret_value() if receiver.secret else ""
    return _signed(secret, told, now)


def _signed(secret: str, told: AlertText, now: datetime) -> Message:
    """https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""
    body = _json(
        {
            "type": f"alert.{told.what}",
            "timestamp": iso_utc(now),
            "data": {
                "kind": told.kind,
                "subject": told.subject or None,
                "text": told.text,
                "raisedAt": iso_utc(told.raised_at),
                "clearedAt": told.cleared_at and iso_utc(told.cleared_at),
            },
        }
    )
    key = unb64(secret.removeprefix("whsec_")) or b""
    seconds = str(int(now.timestamp()))
    content = b".".join((told.id.encode(), seconds.encode(), body))
    headers = {
        "Content-Type": "application/json",
        ID: told.id,
        TIMESTAMP: seconds,
        _SIGNATURE: V1.signature(content, key),
    }
    return Message(body, headers)


def _line(told: AlertText) -> str:
    """For people. Slack reads < > & as markup, and what we quote may hold them."""
    words = {"raised": "ALERT", "cleared": "over"}
    about = f" ({told.subject})" if told.subject else ""
    text = f"Vouch, {words.get(told.what, told.what)}: {told.kind}{about}: {told.text}"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
