"""Alerts as the API and the command line list them."""

from datetime import datetime
from typing import Any

from pydantic import Field
from sqlalchemy import Row

from app.domain.alerts import AlertKind
from app.schemas.fields import Schema

MOST_LISTED = 100


class Alert(Schema):
    """Something that is or was wrong."""

    kind: AlertKind
    subject: str | None = Field(description="Of what: a source's name, where it is one.")
    text: str
    raised_at: datetime
    cleared_at: datetime | None = Field(description="Null while it is wrong.")


class Alerts(Schema):
    """What is wrong, then what was; each the newest first."""

    items: list[Alert]


def shown(row: Row[Any]) -> Alert:
    return Alert(
        kind=row.kind,
        subject=row.subject or None,
        text=row.text,
        raised_at=row.raised_at,
        cleared_at=row.cleared_at,
    )
