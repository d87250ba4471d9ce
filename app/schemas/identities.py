"""Links between accounts and customers, as the API and the command line show them."""

from datetime import datetime
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, Row

from app.domain.roles import Role
from app.schemas.attempts import SEES_PERSONAL
from app.schemas.fields import (
    AccountId,
    CustomerId,
    Email,
    Handle,
    Mobile,
    PlatformName,
    Schema,
    example,
)
from app.steps import identities
from app.steps.identities import Identity, Linked
from app.steps.keys import KeyHolder

UNKNOWN_PLATFORM = "is no platform of ours, of a source's accounts, or of a rule"


class Account(Schema):
    """A platform account, as the path names it."""

    platform: PlatformName
    account_id: AccountId


class IdentityRequest(Schema):
    """The customer who has the account, and how to reach them. It replaces what was known."""

    model_config = example(customerId="customer-42", handle="ada", email="ada@example.com")

    customer_id: CustomerId
    handle: Handle | None = None
    email: Email | None = None
    mobile: Mobile | None = None


class IdentityView(Schema):
    """The link between a platform account and a customer."""

    platform: str
    account_id: str
    customer_id: str
    handle: str | None
    email: str | None
    mobile: str | None
    created_at: datetime
    updated_at: datetime


class LinkedIdentity(IdentityView):
    """The link, and how many attempts had waited for it."""

    released_attempts: int


class IdentityQuery(Schema):
    """Whose accounts are meant."""

    customer_id: CustomerId


class Identities(Schema):
    """The accounts of a customer."""

    items: list[IdentityView] = Field(description="By platform and account id.")


def members(row: Row[Any]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in IdentityView.model_fields}


def identity(row: Row[Any], to: KeyHolder) -> IdentityView:
    """A link as the holder of a key may see it."""
    shown = IdentityView(**members(row))
    if to.may(Role.BACKEND) or to.may(SEES_PERSONAL):
        return shown
    return shown.model_copy(update={"handle": None, "email": None, "mobile": None})


def wanted_link(account: Account, request: IdentityRequest) -> Identity:
    """The link that a request asks for."""
    return Identity(
        platform=account.platform, account_id=account.account_id, **request.model_dump()
    )


def link_and_read(
    connection: Connection, identity: Identity, caused_by: str, now: datetime
) -> tuple[Linked, int, Row[Any]]:
    """Link an account; what came of it, how many attempts it released, and the link."""
    outcome, released = identities.link(connection, identity, caused_by, now)
    row = identities.find(connection, identity.platform, identity.account_id)
    if row is None:
        raise LookupError("the account is neither linked now nor to somebody else")
    return outcome, released, row
