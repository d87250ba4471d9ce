#!/usr/bin/env bash
# line-bot-sdk reads a batch with an event that is new to it in two ways: one keeps it, one refuses.
#
# What is surprising: LINE says that types of events may be added at any time. `WebhookParser` makes
# such an event an `UnknownEvent` and goes on. `CallbackRequest.from_dict`, the model of the same
# body in the same package, refuses the whole batch, with the ordinary message that is in it.
#
# To whom it matters: to those who read the body with the models, as in another framework or from a
# queue: nothing of the batch is read on the day when LINE adds a type.
#
# Exit status: 0 while it is so, 1 when it has changed, 2 when the package cannot be installed.
set -euo pipefail

VERSION=3.27.0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" "line-bot-sdk==$VERSION" || exit 2

PYTHONPATH="$folder" python3 -W ignore - "$VERSION" <<'PY'
import base64
import hashlib
import hmac
import json
import sys

from linebot.v3.webhook import WebhookParser
from linebot.v3.webhooks import CallbackRequest

SECRET = "an-invented-channel-secret"


def event(kind: str, **more: object) -> dict:
    source = {"type": "user", "userId": "U" + "1" * 32}
    head = {"type": kind, "mode": "active", "timestamp": 1767225600000, "source": source}
    return {
        **head,
        "webhookEventId": "01EVENT",
        "deliveryContext": {"isRedelivery": False},
        "replyToken": "invented",
        **more,
    }


def text() -> dict:
    message = {"type": "text", "id": "1", "quoteToken": "invented", "text": "Hello"}
    return event("message", message=message)


def both(*events: dict) -> tuple[str, list[str]]:
    told = {"destination": "U" + "2" * 32, "events": list(events)}
    body = json.dumps(told)
    proof = hmac.digest(SECRET.encode(), body.encode(), hashlib.sha256)
    signature = base64.b64encode(proof).decode()
    parsed = [type(one).__name__ for one in WebhookParser(SECRET).parse(body, signature)]
    try:
        CallbackRequest.from_dict(told)
        model = "read"
    except ValueError:
        model = "refused"
    print("  CallbackRequest.from_dict:", model)
    print("  WebhookParser.parse:      ", parsed)
    return model, parsed


print("line-bot-sdk", sys.argv[1])
print("a text message")
plain = both(text())
print("the same beside an event of a type that is new")
new = both(text(), event("addedNextYear"))

if (plain, new) == (
    ("read", ["MessageEvent"]),
    ("refused", ["MessageEvent", "UnknownEvent"]),
):
    print("as recorded")
    sys.exit(0)
print("CHANGED")
sys.exit(1)
PY
