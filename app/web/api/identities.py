"""Whose account is this? The shop's backend says."""

from datetime import datetime
from typing import Any

import structlog
from flask import Blueprint, Response
from pydantic import ValidationError
from sqlalchemy import Connection, Row

from app.platforms import adapters
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
from app.steps.keys import Role
from app.web.api.openapi import operation
from app.web.auth import caller, requires
from app.web.context import service
from app.web.parsing import body_as, id_in_path, refusal
from app.web.problems import Problem
from app.web.responses import reply

log = structlog.get_logger(__name__)
blueprint = Blueprint("identities", __name__)

# `path`: an id may contain a slash, written %2F.
_PATH = "/v1/identities/<platform>/<path:account_id>"
# `unknown`: also a slash that is none of the id's, or a line's end, which no id has.
_PATH_PROBLEMS = ("malformed", "invalid", "unknown")


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


@blueprint.put(_PATH)
@operation(
    operation_id="linkIdentity",
    summary="Link a platform account to a customer",
    description="Releases the attempts that waited for it. 201: it was not linked before. An "
    "account of another customer is not taken over.",
    answers={200: LinkedIdentity, 201: LinkedIdentity},
    path=Account,
    body=IdentityRequest,
    problems=(*_PATH_PROBLEMS, "taken", "too-large", "media-type"),
    tag="identities",
)
@requires(Role.BACKEND)
def link_identity(platform: str, account_id: str) -> Response:
    """Link an account and release what waited for it; 201 when it was not linked before."""
    account = _account(platform, account_id)
    _refuse_unknown_platform(account.platform)
    sent = body_as(IdentityRequest)
    identity = Identity(
        account.platform, account.account_id, sent.customer_id, sent.handle, sent.email, sent.mobile
    )
    by, now = caller().named, service().now()
    outcome, released, row = service().database.write(lambda c: _link(c, identity, by, now))
    if outcome is Linked.TAKEN:
        log.warning("identity.taken", platform=account.platform)
        raise Problem("taken", "Unlink it there first.")
    if released:
        service().wake_worker()
    log.info("identity.linked", platform=account.platform, outcome=outcome.value, released=released)
    view = LinkedIdentity(**_members(row), released_attempts=released)
    return reply(view, 201 if outcome is Linked.CREATED else 200)


@blueprint.get(_PATH)
@operation(
    operation_id="getIdentity",
    summary="Which customer an account is linked to",
    description="Also the handle and the addresses that were sent with the link.",
    answers={200: IdentityView},
    path=Account,
    problems=_PATH_PROBLEMS,
    tag="identities",
)
@requires(Role.BACKEND)
def read_identity(platform: str, account_id: str) -> Response:
    """Answer one link."""
    account = _account(platform, account_id)
    with service().people.read() as connection:
        row = identities.find(connection, account.platform, account.account_id)
    if row is None:
        raise _not_linked()
    return reply(IdentityView(**_members(row)))


@blueprint.delete(_PATH)
@operation(
    operation_id="unlinkIdentity",
    summary="Unlink an account",
    description="What the account earned stays in the ledger, and is not earned again.",
    answers={204: "It is linked to nobody now."},
    path=Account,
    problems=_PATH_PROBLEMS,
    tag="identities",
)
@requires(Role.BACKEND)
def unlink_identity(platform: str, account_id: str) -> Response:
    """Forget one link. What the account earned stays in the ledger and is not earned again."""
    account = _account(platform, account_id)
    by, now = caller().named, service().now()
    if not service().database.write(
        lambda c: identities.unlink(c, account.platform, account.account_id, by, now)
    ):
        raise _not_linked()
    log.info("identity.unlinked", platform=account.platform)
    return Response(status=204)


def _account(platform: str, account_id: str) -> Account:
    said = {"platform": platform, "accountId": id_in_path(account_id)}
    try:
        return Account.model_validate(said)
    except ValidationError as error:
        raise refusal(error) from None


def _refuse_unknown_platform(platform: str) -> None:
    """Refuse a word that no event and no claim will ever carry: it is a typo."""
    configuration = service().configuration
    known = {
        *adapters(),
        *(adapter.source.accounts for adapter in configuration.sources.values()),
        *(rule.platform for rule in configuration.rules),
    }
    if platform not in known:
        problem = "is no platform of ours, of a source's accounts, or of a rule"
        errors = [{"field": "platform", "problem": problem}]
        raise Problem("invalid", "See errors.", errors=errors)


def _link(
    connection: Connection, identity: Identity, caused_by: str, now: datetime
) -> tuple[Linked, int, Row[Any]]:
    outcome, released = identities.link(connection, identity, caused_by, now)
    row = identities.find(connection, identity.platform, identity.account_id)
    if row is None:
        raise LookupError("the account is neither linked now nor to somebody else")
    return outcome, released, row


def _members(row: Row[Any]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in IdentityView.model_fields}


def _not_linked() -> Problem:
    return Problem("unknown", "Nobody is linked to this account.")
