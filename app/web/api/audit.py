"""List the entries of the audit log."""

from flask import Blueprint, Response

from app.domain.roles import Role
from app.schemas.audit import AuditPage, AuditQuery, paged
from app.steps import audit
from app.web.api.openapi import operation
from app.web.auth import requires
from app.web.context import service
from app.web.parsing import query_as
from app.web.reading_slots import takes_slot
from app.web.responses import reply

blueprint = Blueprint("audit", __name__)


@blueprint.get("/v1/audit")
@requires(Role.OPERATOR)
@operation(
    operation_id="listAuditEntries",
    summary="Read who changed what, newest first",
    description="Every act of a person or a key, and every change of the configuration. Nothing is "
    "ever changed in it.",
    query=AuditQuery,
    answers={200: AuditPage},
    tag="audit",
)
@takes_slot
def listing() -> Response:
    query = query_as(AuditQuery)
    with service().people.read() as connection:
        found = audit.page(connection, query.wanted(), query.limit + 1, query.before)
    return reply(paged(found, query.limit))
