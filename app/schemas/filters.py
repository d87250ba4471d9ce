"""Filters, cursors and pages of attempts in requests."""

import base64
import binascii
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from app.domain.attempts import State
from app.domain.evidence import Evidence
from app.domain.roles import Role
from app.schemas.attempt_lines import MAX_LIMIT as MAX_LIMIT
from app.schemas.attempt_lines import cursor_after as cursor_after
from app.schemas.attempts import sees_personal
from app.schemas.fields import (
    AccountId,
    ActionName,
    ChallengeId,
    CustomerId,
    Documented,
    Line,
    PlatformName,
    Schema,
    Whole,
)
from app.steps.history import Filter

_HOW = "write an ISO 8601 date or time; write a + in a URL as %2B; without an offset it is UTC"
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def _moment(value: object) -> datetime:
    if not isinstance(value, str) or len(value) > 40 or not value.isascii():
        raise ValueError(_HOW)
    try:
        moment = datetime.fromisoformat(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(_HOW) from None
    if not _EARLIEST <= moment <= _LATEST:
        raise ValueError("is out of range")
    return moment


# Our own validator: pydantic would accept any number as seconds since 1970.
Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": "^2[01][0-9]{2}-"}),
]


def comma_separated(value: object) -> object:
    return tuple(value.split(",")) if isinstance(value, str) else value


def _states(value: object) -> object:
    """Return a list of states, or a text with commas, as the tuple that strict mode requires."""
    parts = comma_separated(value)
    if not isinstance(parts, tuple | list):
        return parts
    return tuple(_STATES.get(part, part) if isinstance(part, str) else part for part in parts)


_STATES = {state.value: state for state in State}
States = Annotated[tuple[State, ...], Field(min_length=1), BeforeValidator(_states)]


class AttemptFilter(Schema):
    """Which attempts are selected. A criterion that is left out matches all attempts."""

    customer_id: CustomerId | None = None
    challenge_id: ChallengeId | None = None
    source: PlatformName | None = Field(default=None, description="By the name of the source.")
    platform: PlatformName | None = Field(
        default=None, description="The name for the accounts' platform."
    )
    action: ActionName | None = Field(default=None, description="Our word for the action.")
    state: States | None = Field(default=None, description="The states that they may be in.")
    evidence: Evidence | None = Field(default=None, description="How we know.")
    account_id: AccountId | None = Field(default=None, description="The account that acted.")
    from_at: Moment | None = Field(
        default=None, alias="from", description="Created at this time or later."
    )
    to_at: Moment | None = Field(default=None, alias="to", description="Created before this time.")
    q: Annotated[Line, Field(min_length=1, max_length=255)] | None = Field(
        default=None,
        description="Text to search for: the beginning of a customer or account id (fewer than "
        "three characters: the whole), an attempt's id or its first 8 digits, or a whole event "
        "key. Upper and lower case differ. For an operator also a whole handle, in any "
        "case, width and kind of spaces. Viewers may not see handles, nor search by them.",
    )

    undone: bool | None = Field(
        default=None,
        description="true: only those whose action the account took back; false: none of them.",
    )

    def wanted(self, to: Role) -> Filter:
        """Return the filter as this role may use it."""
        return Filter(
            customer_id=self.customer_id,
            challenge_id=self.challenge_id,
            source=self.source,
            platform=self.platform,
            action=self.action,
            states=self.state or (),
            evidence=self.evidence,
            account_id=self.account_id,
            from_at=self.from_at,
            to_at=self.to_at,
            q=self.q and self.q.strip(),
            undone=self.undone,
            finds_handles=sees_personal(to),
        )


def _position(value: Any) -> str:
    problem = "is not a cursor of ours"
    try:
        raw = base64.b64decode(f"{value}==", altchars=b"-_", validate=True)
        attempt_id = str(uuid.UUID(bytes=raw))
    except (binascii.Error, ValueError):
        raise ValueError(problem) from None
    if cursor_after(attempt_id) != value:
        raise ValueError(problem)
    return attempt_id


Cursor = Annotated[
    str,
    AfterValidator(_position),
    # An id's 16 bytes in base64url.
    Documented({"pattern": "^[A-Za-z0-9_-]{21}[AQgw]$"}),
]


class AttemptQuery(AttemptFilter):
    """A page of the selected attempts."""

    limit: Whole = Field(default=50, ge=1, le=MAX_LIMIT, description="Attempts on a page.")
    cursor: Cursor | None = Field(default=None, description="The `nextCursor` of a page.")
