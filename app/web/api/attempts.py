"""List, show, export, replay and cancel attempts."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any
from uuid import UUID

import structlog
from flask import Blueprint, Response
from pydantic import Field
from sqlalchemy import Connection, Row

from app.domain.attempts import State
from app.domain.roles import Role
from app.schemas import attempts
from app.schemas.attempts import Attempt, AttemptInFull, AttemptPage
from app.schemas.export import MEDIA_TYPES, Format, broken_off, chunks
from app.schemas.filters import AttemptFilter, AttemptQuery, cursor_after
from app.steps import history, operator_actions
from app.storage.errors import TooSlow
from app.web.api.openapi import operation
from app.web.auth import caller, requires
from app.web.context import service
from app.web.parsing import query_as
from app.web.problems import Problem, problem_of
from app.web.reading_slots import reading_slots, reads_history, slot, takes_slot
from app.web.responses import reply

# Attempts that an export reads and writes in one slot.
_PAGE = 200
# How long a running export waits for its next slot.
_PATIENCE_SECONDS = 60.0
_EXPORT = "/v1/attempts/export"

log = structlog.get_logger(__name__)
blueprint = Blueprint("attempts", __name__)

NextTurn = Callable[[], AbstractContextManager[None]]
Act = Callable[[Connection, str, str, datetime], State | None]


class ExportQuery(AttemptFilter):
    """The attempts that are meant, and how to write them."""

    written_as: Format = Field(
        alias="format",
        description="The kind of file. In a CSV, an apostrophe stands before anything that "
        "a spreadsheet could take for a formula; numbers and phone numbers stay as they are.",
    )
    bom: bool = Field(
        default=False,
        description="Begin a CSV with a byte order mark: Excel needs it to read UTF-8, and most "
        "programs do not expect it.",
    )


@blueprint.get("/v1/attempts")
@requires(Role.VIEWER)
@operation(
    operation_id="listAttempts",
    summary="Search the history, newest first",
    description="A filter that is left out leaves nobody out. Send `nextCursor` as `cursor` for "
    "the next page.",
    query=AttemptQuery,
    answers={200: AttemptPage},
    tag="attempts",
)
@takes_slot
def listing() -> Response:
    query = query_as(AttemptQuery)
    with service().people.read() as connection:
        found = history.page(connection, query.wanted(caller().role), query.limit + 1, query.cursor)
    items = [attempts.attempt(row, caller().role) for row in found[: query.limit]]
    has_more = len(found) > query.limit
    return reply(
        AttemptPage(items=items, next_cursor=cursor_after(items[-1].id) if has_more else None)
    )


@blueprint.get("/v1/attempts/<uuid:attempt_id>")
@requires(Role.VIEWER)
@operation(
    operation_id="getAttempt",
    summary="Read all that is known of one attempt",
    description="The attempt with its event, its timeline, and every call to Gameball.",
    answers={200: AttemptInFull},
    problems=("unknown",),
    tag="attempts",
)
@takes_slot
def whole_attempt(attempt_id: UUID) -> Response:
    with service().people.read_at_one_moment() as connection:
        whole = history.in_full(connection, str(attempt_id))
    if whole is None:
        raise _no_such()
    return reply(attempts.attempt_in_full(whole, caller().role))


@blueprint.get(_EXPORT)
@requires(Role.VIEWER)
@operation(
    operation_id="exportAttempts",
    summary="Take the history away as a file",
    description="A file that could not be written to its end is no complete answer: its last chunk "
    "is missing, and its last line begins with `incomplete`, or is an object with this one member.",
    query=ExportQuery,
    answers={200: "text/csv|application/x-ndjson"},
    tag="attempts",
)
@reads_history
def export() -> Response:
    query = query_as(ExportQuery)
    pages = history.pages(service().people, query.wanted(caller().role), _PAGE)
    name = f"vouch-attempts-{service().now():%Y-%m-%d}.{query.written_as}"
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="{name}"',
        "X-Content-Type-Options": "nosniff",
    }
    turns, settings = reading_slots(), service().configuration.history
    until = time.monotonic() + settings.export_deadline
    with ExitStack() as held:
        held.enter_context(turns.export(settings))
        with slot():
            # Read the first page now, while the response can still become a 503.
            first = next(pages, [])
        whole_file = chain([first], pages)
        file = chunks(query.written_as, whole_file, caller().role, for_excel=query.bom)
        # The rest is written without a request context, so get what it needs now.
        next_turn = partial(turns.query, settings, _PATIENCE_SECONDS)
        whole = _by_turns(query.written_as, file, next_turn, until)
        response = Response(whole, 200, headers, content_type=MEDIA_TYPES[query.written_as])
        response.call_on_close(held.pop_all().close)
    return response


@blueprint.post("/v1/attempts/<uuid:attempt_id>/replay")
@requires(Role.OPERATOR)
@operation(
    operation_id="replayAttempt",
    summary="Owe an attempt to Gameball again",
    description="Only attempts that are `dead`, `not_granted` or `unconfirmed` can be replayed.",
    answers={200: Attempt},
    problems=("unknown", "state"),
    tag="attempts",
)
def replay_one(attempt_id: UUID) -> Response:
    answer = _acted(operator_actions.replay, "attempt.replayed", str(attempt_id))
    service().wake_worker()
    return answer


@blueprint.post("/v1/attempts/<uuid:attempt_id>/cancel")
@requires(Role.OPERATOR)
@operation(
    operation_id="cancelAttempt",
    summary="Withdraw an attempt that is not paid yet",
    description="It becomes `withdrawn`. One with a submission in flight cannot be cancelled.",
    answers={200: Attempt},
    problems=("unknown", "state"),
    tag="attempts",
)
def cancel_one(attempt_id: UUID) -> Response:
    return _acted(operator_actions.cancel, "attempt.cancelled", str(attempt_id))


@blueprint.post("/v1/attempts/<uuid:attempt_id>/lift-bar")
@requires(Role.OPERATOR)
@operation(
    operation_id="liftBar",
    summary="Let an account earn again that was barred because it undid this attempt",
    description="Only an attempt whose `barring` is true has a bar to lift.",
    answers={200: Attempt},
    problems=("unknown", "state"),
    tag="attempts",
)
def lift_bar(attempt_id: UUID) -> Response:
    return _acted(operator_actions.lift_bar, "bar.lifted", str(attempt_id))


def _by_turns(
    written_as: Format, file: Iterator[str], next_turn: NextTurn, until: float
) -> Iterator[str]:
    """Yield the file in pieces. Each piece has its own slot, which is free while it is sent.

    An error is raised again, so that the response ends without its last chunk. The last line also
    reports it, for clients that cannot see a missing chunk, as behind an HTTP/1.0 proxy.
    """
    try:
        while True:
            if time.monotonic() > until:
                raise TooSlow("an export took longer than `export_deadline`")
            with next_turn():
                piece = next(file, None)
            if piece is None:
                return
            yield piece
    except Exception as error:
        problem = problem_of(error, _EXPORT)
        log.warning("export.broken_off", reason=problem.kind)
        yield broken_off(written_as, problem.kind, problem.detail)
        raise


def _acted(act: Act, event: str, attempt_id: str) -> Response:
    by, now = caller().named, service().now()

    # On SQLite this runs in the writer's thread, without a request context.
    def step(connection: Connection) -> Row[Any] | None:
        done = act(connection, attempt_id, by, now)
        return history.find(connection, attempt_id) if done else None

    try:
        row = service().database.write(step)
    except operator_actions.NotAllowed as refusal:
        raise Problem("state", f"{str(refusal).capitalize()}.") from None
    if row is None:
        raise _no_such()
    log.info(event, attempt=attempt_id, by=by)
    return reply(attempts.attempt(row, caller().role))


def _no_such() -> Problem:
    return Problem("unknown", "No attempt has this id.")
