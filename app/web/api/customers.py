"""Erase customers."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import structlog
from flask import Blueprint, Response
from pydantic import Field, ValidationError
from sqlalchemy import Row

from app.domain.roles import Role
from app.schemas.fields import CustomerId, Id, Schema
from app.steps import erasure
from app.web.api.openapi import operation
from app.web.auth import caller, requires
from app.web.context import service
from app.web.parsing import id_in_path, refusal
from app.web.responses import reply

log = structlog.get_logger(__name__)
blueprint = Blueprint("customers", __name__)

# Slices in one request. The chores erase the rest.
_MOST_SLICES = 20


class Customer(Schema):
    """A customer, as the path names them."""

    customer_id: CustomerId


class Erasing(StrEnum):
    ERASED = "erased"
    ERASING = "erasing"


class Erasure(Schema):
    """What was forgotten of a customer. Nothing in it says of whom."""

    id: Id
    state: Erasing = Field(
        description="`erasing`: a submission is in flight, or there is much. It goes on by itself, "
        "and within a minute of the last submission it is `erased`; ask again to see."
    )
    requested_at: datetime
    completed_at: datetime | None
    attempts: int = Field(description="Attempts that name nobody now.")
    events: int = Field(description="Events of which only a keyed hash is left.")
    identities: int = Field(description="Accounts that are linked to nobody now.")


# `path`: an id may contain a slash, written %2F.
@blueprint.delete("/v1/customers/<path:customer_id>")
@requires(Role.ADMIN)
@operation(
    operation_id="eraseCustomer",
    summary="Forget a customer",
    description="Erases whatever names the customer. The ledger keeps keyed hashes, so that "
    "nothing is earned twice. Asked again, it goes on.",
    answers={200: Erasure, 202: Erasure},
    path=Customer,
    problems=("malformed", "invalid", "unknown"),
    tag="customers",
)
def erase_customer(customer_id: str) -> Response:
    """Erase all data that names a customer. A repeated request continues or reports the end.

    The ledger keeps keyed hashes of the paid actions, so that they cannot be earned again.
    """
    wanted = _customer(customer_id)
    by, now, database = caller().named, service().now(), service().database
    erasure_id = database.write(lambda c: erasure.request(c, wanted, by, now))
    for _ in range(_MOST_SLICES):
        if not database.write(lambda c: erasure.advance(c, erasure_id, now)):
            break
    with service().people.read() as connection:
        row = erasure.find(connection, erasure_id)
    is_complete = row.completed_at is not None
    if is_complete:
        database.forget_traces()
    log.info("customer.erased", erasure=erasure_id, complete=is_complete, by=by)
    return reply(_shown(row), 200 if is_complete else 202)


def _shown(row: Row[Any]) -> Erasure:
    names = ("id", "requested_at", "completed_at", "attempts", "events", "identities")
    state = Erasing.ERASING if row.completed_at is None else Erasing.ERASED
    return Erasure(state=state, **{name: getattr(row, name) for name in names})


def _customer(customer_id: str) -> str:
    said = {"customerId": id_in_path(customer_id)}
    try:
        return Customer.model_validate(said).customer_id
    except ValidationError as error:
        raise refusal(error) from None
