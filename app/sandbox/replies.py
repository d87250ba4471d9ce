"""Gameball's replies and error table, word for word."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

DOCUMENTATION_URL = "https://docs.gameball.co/api-reference/overview/status-error-codes"
# The first digit of a code is its category; 429 is not in the table and has no category.
CATEGORIES = {
    0: "REQUEST_ERROR",
    1: "AUTHENTICATION_ERROR",
    2: "REQUEST_ERROR",
    3: "PAYLOAD_ERROR",
    4: "GENERAL_ERROR",
    5: "SERVER_ERROR",
    6: "CONFIGURATIONS_ERROR",
    7: "CUSTOMER_ERROR",
    8: "SUBSCRIPTION_ERROR",
    9: "TRANSACTIONS_ERROR",
}


@dataclass(frozen=True)
class Row:
    """One row of the documented error table."""

    status: int
    code: int
    message: str


# https://docs.gameball.co/api-reference/customers/management/achieve-social-campaign
CUSTOMER_ID_MISSING = Row(400, 3000, "customer id is missing")
CHALLENGE_ID_MISSING = Row(400, 3000, "rewards campaign handle is missing")
DUPLICATE = Row(400, 4000, "can't send this action multiple times")
SOCIAL_SECRET_MISSING = Row(401, 1006, "your request is missing the secret key.")
CUSTOMER_UNKNOWN = Row(404, 4004, "customer does not exist")
SERVER_FAILED = Row(500, 5000, "generic error")
# https://docs.gameball.co/api-reference/overview/status-error-codes
UNAUTHORIZED = Row(401, 1000, "Unauthorized access. Please authenticate to proceed.")
SECRET_MISSING = Row(401, 1001, "secret key is required.")
FORBIDDEN = Row(403, 1002, "forbidden")
CONCURRENT = Row(422, 2001, "another request for the same customer is being processed")
LIMIT_TOO_LARGE = Row(422, 3011, "limit exceeded. at most 200 rows per page.")
NOT_SUPPORTED = Row(415, 3013, "not supported")
NOT_JSON = Row(400, 3016, "invalid payload")
NOT_A_NUMBER = Row(400, 3016, "invalid payload: expected a whole number")
GAMEBALL_DISABLED = Row(422, 6000, "gameball is disabled")
CUSTOMER_NOT_FOUND = Row(404, 7000, "customer not found")
# The body of a 429 is not documented.
TOO_MANY = Row(429, 429, "too many requests")
CAMPAIGN_ID_INVALID = Row(
    422, 3003, "invalid campaignid value. the campaign id must be a positive integer."
)


def invalid(name: str) -> Row:
    return Row(422, 3003, f"invalid {name} value.")


class RefusalError(Exception):
    """Gameball refuses the call, with this row of its table."""

    def __init__(self, row: Row) -> None:
        super().__init__(row.message)
        self.row = row


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One HTTP answer; `code` is Gameball's own code, where the answer is a refusal."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)
    code: int | None = None


def json_reply(status: int, value: object) -> Reply:
    return Reply(
        status=status,
        body=json.dumps(value),
        headers={"Content-Type": "application/json; charset=utf-8"},
    )


def html_reply(status: int, title: str) -> Reply:
    page = f"<!doctype html><html><head><title>{title}</title></head><body>{title}</body></html>\n"
    return Reply(status=status, body=page, headers={"Content-Type": "text/html; charset=utf-8"})


def refusal(row: Row, request_id: str) -> Reply:
    """Return the documented envelope: code, type, message, documentationUrl, requestId."""
    reply = json_reply(
        row.status,
        {
            "code": row.code,
            "type": CATEGORIES[row.code // 1000],
            "message": row.message,
            "documentationUrl": DOCUMENTATION_URL,
            "requestId": request_id,
        },
    )
    return Reply(status=reply.status, body=reply.body, headers=reply.headers, code=row.code)
