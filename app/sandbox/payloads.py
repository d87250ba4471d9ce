"""Parse and validate the requests of callers."""

import json
import re
from collections.abc import Mapping

from app.sandbox.replies import (
    CHALLENGE_ID_MISSING,
    CUSTOMER_ID_MISSING,
    LIMIT_TOO_LARGE,
    NOT_A_NUMBER,
    NOT_JSON,
    NOT_SUPPORTED,
    RefusalError,
    invalid,
)

CUSTOMER_ID_LENGTH = 100
PAGE_LENGTH, LONGEST_PAGE = 50, 200
# int() also accepts "1_0", " 7 " and digits of other scripts.
WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}", re.ASCII)


def json_object(mimetype: str, body: bytes) -> dict[str, object]:
    if mimetype != "application/json":
        raise RefusalError(NOT_SUPPORTED)
    payload = peek(body)
    if payload is None:
        raise RefusalError(NOT_JSON)
    return payload


def peek(body: bytes) -> dict[str, object] | None:
    """Return the JSON object in the body, or None."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return payload if isinstance(payload, dict) else None


def customer_id_in(payload: Mapping[str, object]) -> str:
    customer_id = payload.get("customerId")
    if customer_id is None or customer_id == "":
        raise RefusalError(CUSTOMER_ID_MISSING)
    if not isinstance(customer_id, str) or len(customer_id) > CUSTOMER_ID_LENGTH:
        raise RefusalError(invalid("customerid"))
    return customer_id


def challenge_id_in(payload: Mapping[str, object]) -> int:
    challenge_id = payload.get("challengeId")
    if challenge_id is None:
        raise RefusalError(CHALLENGE_ID_MISSING)
    if isinstance(challenge_id, bool) or not isinstance(challenge_id, int) or challenge_id < 1:
        raise RefusalError(invalid("challengeid"))
    return challenge_id


def check_texts(payload: Mapping[str, object], *names: str) -> None:
    for name in names:
        if not isinstance(payload.get(name, ""), str | None):
            raise RefusalError(invalid(name))


def whole_number(text: str) -> int:
    if not WHOLE_NUMBER.fullmatch(text):
        raise RefusalError(NOT_A_NUMBER)
    return int(text)


def one_of(query: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str | None:
    chosen = query.get(name)
    if chosen is not None and chosen not in choices:
        raise RefusalError(invalid(name.lower()))
    return chosen


def page_of(query: Mapping[str, str]) -> tuple[int, int]:
    """Return (startAfter, limit) of a paged read."""
    start_after = whole_number(query.get("startAfter", "0"))
    limit = whole_number(query.get("limit", str(PAGE_LENGTH)))
    if start_after < 0 or limit < 1:
        raise RefusalError(invalid("page"))
    if limit > LONGEST_PAGE:
        raise RefusalError(LIMIT_TOO_LARGE)
    return start_after, limit
