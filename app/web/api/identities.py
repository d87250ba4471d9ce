"""Link platform accounts to customers. The shop's backend calls this."""

import structlog
from flask import Blueprint, Response
from pydantic import ValidationError

from app.domain.roles import Role
from app.schemas.identities import (
    UNKNOWN_PLATFORM,
    Account,
    Identities,
    IdentityQuery,
    IdentityRequest,
    IdentityView,
    LinkedIdentity,
    identity,
    link_and_read,
    members,
    wanted_link,
)
from app.steps import identities
from app.steps.identities import Linked
from app.web.api.openapi import operation
from app.web.auth import caller, requires
from app.web.context import service
from app.web.parsing import body_as, id_in_path, query_as, refusal
from app.web.problems import Problem
from app.web.responses import reply

log = structlog.get_logger(__name__)
blueprint = Blueprint("identities", __name__)

# `path`: an id may contain a slash, written %2F.
_PATH = "/v1/identities/<platform>/<path:account_id>"
# `unknown`: also for a slash that is not part of the id, or a line break, which no id contains.
_PATH_PROBLEMS = ("malformed", "invalid", "unknown")


@blueprint.get("/v1/identities")
@operation(
    operation_id="listIdentities",
    summary="List the accounts of a customer",
    description="By platform and account id. A viewer sees neither handles nor addresses.",
    query=IdentityQuery,
    answers={200: Identities},
    tag="identities",
)
@requires(Role.BACKEND, Role.VIEWER)
def list_identities() -> Response:
    """List a customer's accounts. A viewer does not see handle, email and mobile."""
    wanted = query_as(IdentityQuery)
    with service().people.read() as connection:
        rows = identities.of_customer(connection, wanted.customer_id)
    return reply(Identities(items=[identity(row, caller()) for row in rows]))


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
@requires(Role.BACKEND, Role.OPERATOR)
def link_identity(platform: str, account_id: str) -> Response:
    """Link an account and release the attempts that waited for it. 201 for a new link."""
    account = _account(platform, account_id)
    _refuse_unknown_platform(account.platform)
    wanted = wanted_link(account, body_as(IdentityRequest))
    by, now = caller().named, service().now()
    outcome, released, row = service().database.write(lambda c: link_and_read(c, wanted, by, now))
    if outcome is Linked.TAKEN:
        log.warning("identity.taken", platform=account.platform)
        raise Problem("taken", "Unlink it there first.")
    if released:
        service().wake_worker()
    log.info("identity.linked", platform=account.platform, outcome=outcome.value, released=released)
    view = LinkedIdentity(**members(row), released_attempts=released)
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
@requires(Role.BACKEND, Role.OPERATOR)
def read_identity(platform: str, account_id: str) -> Response:
    """Return one link."""
    account = _account(platform, account_id)
    with service().people.read() as connection:
        row = identities.find(connection, account.platform, account.account_id)
    if row is None:
        raise _not_linked()
    return reply(IdentityView(**members(row)))


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
@requires(Role.BACKEND, Role.OPERATOR)
def unlink_identity(platform: str, account_id: str) -> Response:
    """Delete one link. Past awards stay in the ledger, so the account cannot earn them again."""
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
    """Refuse a platform that no event or claim can have: it is a typo."""
    if platform not in service().configuration.account_platforms:
        errors = [{"field": "platform", "problem": UNKNOWN_PLATFORM}]
        raise Problem("invalid", "See errors.", errors=errors)


def _not_linked() -> Problem:
    return Problem("unknown", "Nobody is linked to this account.")
