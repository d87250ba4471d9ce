"""Access to the history in the database that the environment names."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from app.cli.access import Criteria, Json, Listing
from app.cli.actor import AT_THE_DATABASE, caused_by
from app.cli.database import open_database
from app.cli.filters import InvalidValues
from app.domain.clock import utc_now
from app.schemas.attempt_lines import cursor_after, line
from app.steps import history
from app.storage.database import Database

if TYPE_CHECKING:
    from app.schemas.fields import Schema

S = TypeVar("S", bound="Schema")
_LOOK_SECONDS = 0.1


@contextmanager
def local_access() -> Iterator["Local"]:
    with open_database(must_exist=True) as database:
        yield Local(database)


class Local:
    """Access through the database. Methods import modules that only they need."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, kind: Listing, criteria: Criteria) -> Json:
        return _PAGES[kind](self._database, criteria)

    def one(self, kind: Listing, item_id: str) -> Json | None:
        return _WHOLE[kind](self._database, item_id)

    def export(self, criteria: Criteria) -> Iterator[str]:
        from app.schemas.export import Format, chunks

        wanted = dict(criteria)
        written_as, for_excel = Format(wanted.pop("format")), wanted.pop("bom", "") == "true"
        pages = history.pages(self._database, _filter(wanted))
        return chunks(written_as, pages, AT_THE_DATABASE, for_excel=for_excel)

    def act(self, act: str, attempt_id: str) -> str | None:
        from app.steps import operator_actions

        do = {"replay": operator_actions.replay, "cancel": operator_actions.cancel}[act]
        by = caused_by()
        try:
            self._database.write(lambda c: do(c, attempt_id, by, utc_now()))
        except operator_actions.NotAllowed as refusal:
            return str(refusal)
        return None

    def count(self, act: str, criteria: Criteria) -> int:
        from app.steps import bulk
        from app.steps.operator_actions import OperatorAction

        narrow = _narrowed(act, criteria)
        with self._database.read() as connection:
            return bulk.count(connection, OperatorAction(act), narrow, utc_now())

    def begin(self, act: str, criteria: Criteria, matched: int) -> Json:
        from app.steps import bulk
        from app.steps.operator_actions import OperatorAction

        narrow, by = _narrowed(act, criteria), caused_by()
        return _job(
            self._database.write(
                lambda c: bulk.start(c, OperatorAction(act), narrow, matched, by, utc_now())
            )
        )

    def follow(self, job: Json) -> Json:
        from app.steps import bulk

        is_ours = self._database.write(lambda c: bulk.advance(c, job["id"], utc_now()))
        with self._database.read() as connection:
            found = bulk.find(connection, job["id"])
        if found is None:
            return {**job, "endedAt": utc_now()}
        if found.ended_at is None and not is_ours:
            time.sleep(_LOOK_SECONDS)
        return _job(found)

    def stop(self, job: Json) -> Json:
        from app.steps import bulk

        by = caused_by()
        return _job(self._database.write(lambda c: bulk.stop(c, job["id"], by, utc_now())))

    def link(self, platform: str, account_id: str, customer: Json) -> Json:
        from app.schemas.identities import (
            UNKNOWN_PLATFORM,
            Account,
            IdentityRequest,
            LinkedIdentity,
            link_and_read,
            members,
            wanted_link,
        )
        from app.settings.configuration import load_configuration
        from app.settings.environment import read_environment
        from app.steps.identities import Linked

        account = _validated(Account, {"platform": platform, "accountId": account_id})
        wanted = wanted_link(account, _validated(IdentityRequest, customer))
        configuration = load_configuration(read_environment().config_path)
        if account.platform not in configuration.account_platforms:
            raise InvalidValues([("platform", UNKNOWN_PLATFORM)])
        by = caused_by()
        outcome, released, row = self._database.write(
            lambda c: link_and_read(c, wanted, by, utc_now())
        )
        if outcome is Linked.TAKEN:
            raise click.ClickException(
                "The account is linked to another customer. Unlink it there first."
            )
        return _json(LinkedIdentity(**members(row), released_attempts=released))

    def unlink(self, platform: str, account_id: str) -> bool:
        from app.steps import identities

        by = caused_by()
        return self._database.write(
            lambda c: identities.unlink(c, platform, account_id, by, utc_now())
        )


def _attempts(database: Database, criteria: Criteria) -> Json:
    wanted, before = history.Filter(finds_handles=True), None
    if set(criteria) != {"limit"}:
        from app.schemas.filters import AttemptQuery

        query = _validated(AttemptQuery, criteria)
        wanted, before = query.wanted(AT_THE_DATABASE), query.cursor
    limit = int(criteria["limit"])
    with database.read() as connection:
        found = history.page(connection, wanted, limit + 1, before)
    cursor = cursor_after(found[limit - 1].id) if len(found) > limit else None
    return {"items": [line(row) for row in found[:limit]], "nextCursor": cursor}


def _events(database: Database, criteria: Criteria) -> Json:
    from app.schemas.events import EventQuery, page

    return _json(page(database, _validated(EventQuery, criteria), AT_THE_DATABASE))


def _audit(database: Database, criteria: Criteria) -> Json:
    from app.schemas.audit import AuditQuery, paged
    from app.steps import audit

    query = _validated(AuditQuery, criteria)
    with database.read() as connection:
        found = audit.page(connection, query.wanted(), query.limit + 1, query.before)
    return _json(paged(found, query.limit))


def _alerts(database: Database, _criteria: Criteria) -> Json:
    from app.schemas.alerts import MOST_LISTED, Alerts, shown
    from app.steps import alerts

    with database.read_at_one_moment() as connection:
        found = alerts.listing(connection, MOST_LISTED)
    return _json(Alerts(items=[shown(row) for row in found]))


def _identities(database: Database, criteria: Criteria) -> Json:
    from app.schemas.identities import Identities, IdentityQuery, IdentityView, members
    from app.steps import identities

    wanted = _validated(IdentityQuery, criteria)
    with database.read() as connection:
        rows = identities.of_customer(connection, wanted.customer_id)
    return _json(Identities(items=[IdentityView(**members(row)) for row in rows]))


def _attempt(database: Database, attempt_id: str) -> Json | None:
    from app.schemas.attempts import attempt_in_full

    with database.read_at_one_moment() as connection:
        whole = history.in_full(connection, attempt_id)
    return None if whole is None else _json(attempt_in_full(whole, AT_THE_DATABASE))


def _event(database: Database, event_id: str) -> Json | None:
    from app.schemas.events import in_full

    found = in_full(database, event_id, AT_THE_DATABASE)
    return None if found is None else _json(found)


_PAGES: Mapping[Listing, Callable[[Database, Criteria], Json]] = {
    Listing.ATTEMPTS: _attempts,
    Listing.EVENTS: _events,
    Listing.IDENTITIES: _identities,
    Listing.AUDIT: _audit,
    Listing.ALERTS: _alerts,
}
_WHOLE: Mapping[Listing, Callable[[Database, str], Json | None]] = {
    Listing.ATTEMPTS: _attempt,
    Listing.EVENTS: _event,
}


def _filter(criteria: Criteria) -> history.Filter:
    from app.schemas.filters import AttemptFilter

    return _validated(AttemptFilter, criteria).wanted(AT_THE_DATABASE)


def _narrowed(act: str, criteria: Criteria) -> history.Filter:
    """Return the filter of an act on many attempts, narrowed to the states that allow it."""
    from app.steps import bulk
    from app.steps.operator_actions import OperatorAction

    wanted = _filter({name: value for name, value in criteria.items() if name != "all"})
    try:
        return bulk.narrowed(OperatorAction(act), wanted)
    except bulk.WrongStates as wrong:
        raise InvalidValues([("state", str(wrong))]) from None


def _job(row: Any) -> Json:
    return {
        "id": row.id,
        "matched": row.matched,
        "visited": row.visited,
        "done": row.done,
        "endedAt": row.ended_at,
        "progress": "stopped" if row.stopped else "",
    }


def _json(shown: "Schema") -> Json:
    from app.schemas.serialise import as_json

    written: Json = json.loads(as_json(shown))
    return written


def _validated(shape: type[S], criteria: Mapping[str, Any]) -> S:
    from pydantic import ValidationError

    from app.settings.error_messages import message, mistakes

    try:
        return shape.model_validate(dict(criteria), by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidValues(
            (str(detail["loc"][0]), message(detail)) for detail in mistakes(error)
        ) from None
