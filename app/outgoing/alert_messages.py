"""The messages that receivers of alerts get."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.domain.clock import iso_utc
from app.platforms.kit.encodings import unb64
from app.platforms.kit.standard import ID, TIMESTAMP, V1
from app.settings.receivers import Receiver, ReceiverKind

_SIGNATURE = "webhook-signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertText:
    """A notification about an alert. ``id`` stays the same in every repeat."""

    id: str
    what: str
    kind: str
    subject: str
    text: str
    raised_at: datetime
    cleared_at: datetime | None


@dataclass(frozen=True, slots=True)
class Message:
    """The body and headers of a POST."""

    body: bytes
    headers: Mapping[str, str]


def message_for(receiver: Receiver, alert: AlertText, now: datetime) -> Message:
    if receiver.kind is ReceiverKind.SLACK:
        return Message(_json({"text": _line(alert)}), {"Content-Type": "application/json"})
    secret = receiver.secret.get_secret_value() if receiver.secret else ""
    return _signed(secret, alert, now)


def _signed(secret: str, alert: AlertText, now: datetime) -> Message:
    """https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""
    body = _json(
        {
            "type": f"alert.{alert.what}",
            "timestamp": iso_utc(now),
            "data": {
                "kind": alert.kind,
                "subject": alert.subject or None,
                "text": alert.text,
                "raisedAt": iso_utc(alert.raised_at),
                "clearedAt": alert.cleared_at and iso_utc(alert.cleared_at),
            },
        }
    )
    key = unb64(secret.removeprefix("whsec_")) or b""
    seconds = str(int(now.timestamp()))
    content = b".".join((alert.id.encode(), seconds.encode(), body))
    headers = {
        "Content-Type": "application/json",
        ID: alert.id,
        TIMESTAMP: seconds,
        _SIGNATURE: V1.signature(content, key),
    }
    return Message(body, headers)


def _line(alert: AlertText) -> str:
    """Return a line for people. Slack reads < > & as markup, and our text may contain them."""
    words = {"raised": "ALERT", "cleared": "over"}
    about = f" ({alert.subject})" if alert.subject else ""
    text = f"Vouch, {words.get(alert.what, alert.what)}: {alert.kind}{about}: {alert.text}"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
