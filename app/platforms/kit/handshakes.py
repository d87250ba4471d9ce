"""Answer a platform's proof of ownership safely."""

import json
import re

from app.platforms.kit.callback import Callback, Forged, Malformed, Reply
from app.platforms.kit.encodings import matches_any
from app.platforms.kit.fields import text

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,255}")


def verified_hub(callback: Callback, token: str, *, as_json: bool = False) -> Reply | None:
    """Answer ``hub.challenge``, but only when the verify token matches."""
    if callback.method != "GET":
        return None
    matches = matches_any(callback.query.get("hub.verify_token", ""), [token])
    if not matches or callback.query.get("hub.mode") != "subscribe":
        raise Forged("hub.verify_token is not the configured one, or hub.mode is not subscribe")
    challenge = text(callback.query.get("hub.challenge"), "hub.challenge")
    if as_json:
        return Reply(
            status=200,
            body=json.dumps({"hub.challenge": challenge}),
            content_type="application/json",
        )
    return Reply(status=200, body=challenge)


def safe_to_answer(challenge: str | None) -> str:
    """Return a challenge that may be signed with an HMAC. Raises `Malformed`.

    Some platforms want to see a stranger's text signed with the key that also signs their events. A
    stranger who had us sign ``{"data": ...}`` could then post it as an event. So we sign only the
    characters of tokens, without the braces, quotes and white space of a JSON object. Another
    project closed the same hole: https://github.com/vercel/chat/pull/775
    """
    if challenge is None or not _TOKEN.fullmatch(challenge):
        raise Malformed("the challenge is missing, too long or has more than a token's characters")
    return challenge
