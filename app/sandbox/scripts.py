"""The kinds of fault, and whether the achievement has landed with each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from app.sandbox import replies
from app.sandbox.replies import Reply, Row

# hang: wait, then close; reset: TCP RST; truncate: half the body, then close.
Ending = Literal["answer", "hang", "reset", "truncate"]


@dataclass(frozen=True)
class Script:
    """Whether the call is processed, the reply in place of the real one, and how it ends."""

    is_processed: bool
    says: Row | Reply | None = None
    ending: Ending = "answer"


UNAVAILABLE = replies.html_reply(503, "503 Service Unavailable")
WELCOME = replies.html_reply(200, "Welcome")
MOVED = Reply(status=302, body="", headers={"Location": "/maintenance"})
BROKEN_JSON = Reply(
    status=202, body='{"customerId": "cust', headers={"Content-Type": "application/json"}
)

SCRIPTS: Mapping[str, Script] = {
    # Not processed: nothing has landed.
    "timeout-before": Script(False, ending="hang"),
    "reset-before": Script(False, ending="reset"),
    "http-500": Script(False, replies.SERVER_FAILED),
    "http-503-html": Script(False, UNAVAILABLE),
    "html-200": Script(False, WELCOME),
    "redirect": Script(False, MOVED),
    "rate-limit": Script(False, replies.TOO_MANY),
    "unauthorized": Script(False, replies.UNAUTHORIZED),
    "forbidden": Script(False, replies.FORBIDDEN),
    "concurrent": Script(False, replies.CONCURRENT),
    "gameball-disabled-422": Script(False, replies.GAMEBALL_DISABLED),
    "answer": Script(False),
    # Processed: the achievement has landed.
    "timeout-after": Script(True, ending="hang"),
    "reset-after": Script(True, ending="reset"),
    "http-500-after": Script(True, replies.SERVER_FAILED),
    "bad-json-202-after": Script(True, BROKEN_JSON),
    "answer-after": Script(True),
    "truncate": Script(True, ending="truncate"),
    "slow": Script(True),
}
