"""Lines of the history as JSON, for a terminal that should not wait for pydantic."""

# A test compares them with `app.schemas.attempts.attempt` for an admin.

import base64
import json
import uuid
from typing import Any

from app.domain.clock import iso_utc

# Attempts, events or entries on a page.
MAX_LIMIT = 200

_FIELDS = {
    "id": "id",
    "state": "state",
    "reason": "reason",
    "customer_id": "customerId",
    "challenge_id": "challengeId",
    "source": "source",
    "platform": "platform",
    "action": "action",
    "account_id": "accountId",
    "target": "target",
    "evidence": "evidence",
    "occurrence": "occurrence",
    "created_at": "createdAt",
    "updated_at": "updatedAt",
    "next_at": "nextAt",
    "undone_at": "undoneAt",
    "erased_at": "erasedAt",
    "event_id": "eventId",
}
_TIMES = ("createdAt", "updatedAt", "nextAt", "undoneAt", "erasedAt")


def line(row: Any) -> dict[str, Any]:
    """An attempt as `GET /v1/attempts` lists it."""
    told = {name: getattr(row, column) for column, name in _FIELDS.items()}
    times = {name: told[name] and iso_utc(told[name]) for name in _TIMES}
    return {
        **told,
        **times,
        "claimed": None if row.claimed is None else json.loads(row.claimed),
        "inFlight": row.lease_until is not None,
        "grantedPoints": plain_number(row.granted_points),
        "grantedCoupon": row.granted_coupon,
    }


def plain_number(amount: float | None) -> float | int | None:
    """Without a fraction that is none."""
    return int(amount) if amount is not None and amount.is_integer() else amount


def cursor_after(attempt_id: str) -> str:
    """Where the page after this attempt begins. It is a position only, and gives no rights."""
    return base64.urlsafe_b64encode(uuid.UUID(attempt_id).bytes).rstrip(b"=").decode("ascii")
