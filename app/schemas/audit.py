"""The audit log as the API and the command line list it."""

import base64
import binascii
import json
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from sqlalchemy import Row

from app.schemas.fields import CustomerId, Documented, Line, Schema, Whole
from app.schemas.filters import MAX_LIMIT, Moment, comma_separated
from app.steps.audit import Change, Wanted

Changes = Annotated[tuple[Change, ...], Field(min_length=1), BeforeValidator(comma_separated)]
_PROBLEM = "is not a cursor that we gave"


def cursor_after(entry_id: int) -> str:
    """Where the page after this entry begins. It is a position only, and gives no rights."""
    return base64.urlsafe_b64encode(entry_id.to_bytes(8, "big")).rstrip(b"=").decode("ascii")


def _position(value: Any) -> int:
    try:
        raw = base64.b64decode(f"{value}=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(_PROBLEM) from None
    position = int.from_bytes(raw, "big")
    if len(raw) != 8 or position >> 63 or cursor_after(position) != value:
        raise ValueError(_PROBLEM)
    return position


Cursor = Annotated[
    str,
    AfterValidator(_position),
    # Eight bytes in base64url, of which the first bit is 0.
    Documented({"pattern": "^[A-Za-f][A-Za-z0-9_-]{9}[AEIMQUYcgkosw048]$"}),
]


class AuditFilter(Schema):
    """Which entries are meant. Criteria that are left out leave nothing out."""

    by: Annotated[Line, Field(min_length=1, max_length=200)] | None = Field(
        default=None,
        description="The beginning of who did it: `key:0a1b2c3d4e5f`, `cli:`, `signal:`.",
    )
    change: Changes | None = Field(default=None, description="What was done.")
    subject: Annotated[Line, Field(min_length=1, max_length=330)] | None = Field(
        default=None,
        description="To what: an attempt's, a key's or a bulk's id, or `platform/account`.",
    )
    customer_id: CustomerId | None = None
    from_at: Moment | None = Field(default=None, alias="from", description="Done then or later.")
    to_at: Moment | None = Field(default=None, alias="to", description="Done before then.")

    def wanted(self) -> Wanted:
        return Wanted(
            by=self.by,
            changes=self.change or (),
            subject=self.subject,
            customer_id=self.customer_id,
            from_at=self.from_at,
            to_at=self.to_at,
        )


class AuditQuery(AuditFilter):
    """A page of the entries that are meant."""

    limit: Whole = Field(default=50, ge=1, le=MAX_LIMIT, description="Entries on a page.")
    cursor: Cursor | None = Field(default=None, description="The `nextCursor` of a page.")

    @property
    def before(self) -> int | None:
        # What the validator made of the cursor.
        return self.cursor  # type: ignore[return-value]


class Entry(Schema):
    """One change: when, by whom, what, and to what."""

    id: int
    at: datetime
    by: str = Field(description="A key with its name, a user at a terminal, or a signal.")
    change: Change
    subject: str | None
    customer_id: str | None
    details: dict[str, Any] | None = Field(description="What more there is to say.")


class AuditPage(Schema):
    """Entries, newest first."""

    items: list[Entry]
    next_cursor: str | None = Field(description="Send it as `cursor`; null on the last page.")


def paged(found: list[Row[Any]], limit: int) -> AuditPage:
    """A page of rows, of which one more was read than is shown."""
    items = [entry(row) for row in found[:limit]]
    cursor = cursor_after(items[-1].id) if len(found) > limit else None
    return AuditPage(items=items, next_cursor=cursor)


def entry(row: Row[Any]) -> Entry:
    return Entry(
        id=row.id,
        at=row.at,
        by=row.caused_by,
        change=row.change,
        subject=row.subject,
        customer_id=row.customer_id,
        details=None if row.details is None else json.loads(row.details),
    )
