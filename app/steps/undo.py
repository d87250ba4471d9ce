"""Withdraws or marks attempts whose action was undone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    bindparam,
    func,
    or_,
    select,
    union_all,
    update,
)

from app.domain.attempts import CANCELLABLE, ENDED, WAITING, State
from app.domain.events import Event
from app.steps.accounts import Account, Id, Known, accounts_of, locked
from app.steps.ledger import award_of, earned_state, enter, insert_new
from app.steps.transitions import change_state, record_transitions, transition
from app.steps.withdrawal import withdraw
from app.storage.hashes import hashes_of
from app.storage.tables import AttemptRow, BarRow, EventRow, IdentityRow, TransitionRow

UNDONE = "the action was undone"
UNDONE_BEFORE = "the action had been undone before it was heard of"
UNDONE_LATE = "the action was undone after its hold, or when it was on its way"
STANDS_IN = "the action that had the award was undone"

_BY_ITSELF = "undoing"
# States in which an undo changes something. The others ended without a reward.
_OPEN_TO_IT = frozenset(State) - ENDED

# Built once: SQLAlchemy takes as long to prepare a statement as SQLite to run it.
_KNOWN_UNDOINGS = select(
    EventRow.source,
    EventRow.platform,
    EventRow.action,
    EventRow.actor,
    EventRow.target,
    EventRow.thing,
    EventRow.occurred_at,
    EventRow.retold_at,
    EventRow.received_at,
    EventRow.undoes,
).where(EventRow.undone)
_OF_SOURCES = EventRow.source.in_(bindparam("sources", expanding=True))
_OF_KEYS = EventRow.undoes.in_(bindparam("keys", expanding=True))
_OF_THINGS = EventRow.thing.in_(bindparam("things", expanding=True))
# Three queries, each with its index. The last two find removals that do not name the account.
_UNDONE_BEFORE = union_all(
    _KNOWN_UNDOINGS.where(
        EventRow.actor.in_(bindparam("actors", expanding=True)),
        EventRow.platform.in_(bindparam("platforms", expanding=True)),
        or_(
            EventRow.occurred_at > bindparam("since"),
            EventRow.retold_at > bindparam("since"),
            _OF_KEYS,
            _OF_THINGS,
        ),
    ),
    _KNOWN_UNDOINGS.where(_OF_SOURCES, _OF_KEYS),
    _KNOWN_UNDOINGS.where(_OF_SOURCES, _OF_THINGS, EventRow.actor.is_(None)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Undoing:
    """An event that takes actions back.

    ``keys`` name one action; ``thing`` names the subject of actions. ``account`` is the account
    whose actions are undone; None: any account, but only for actions that the same source
    reported.
    """

    source: str
    platform: str
    action: str
    account: Account | None
    targets: tuple[str | None, ...]
    thing: str | None
    keys: tuple[str, ...]
    at: datetime
    told_at: datetime
    """The platform's time, for comparison with its other times."""

    def names(self, source: str | None, key: str | None) -> bool:
        """Whether the undoing names exactly this action."""
        return source == self.source and key in self.keys

    def is_about(self, source: str | None, target: str | None, *, is_claim: bool = False) -> bool:
        """Whether the target matches. An undoing without a target matches its own source's actions.

        A claim without a target may be about any target, as it is when an event confirms it.
        """
        if self.targets[0] is None or (is_claim and target is None):
            return source in (None, self.source)
        return target in self.targets


def who_acted(event: Event) -> Id:
    """Return the account that acted, by the event's id. Raises `ValueError` without an actor."""
    if event.actor is None:
        raise ValueError(f"an event of {event.source} names no actor")
    return event.platform, event.actor


def names_of(event: Event) -> list[Id]:
    """Return the names by which removals and actions find each other, to lock them."""
    keys = (event.undoes, *event.former_keys) if event.undone else (event.key, *event.former_keys)
    named = [(f"key of {event.source}", key) for key in keys if key is not None]
    if event.thing is not None:
        named.append((f"thing of {event.source}", event.thing))
    return named


def authors(connection: Connection, events: Iterable[Event]) -> set[Id]:
    """Return the accounts of the actions that removals without an actor, or by key, take back.

    One statement for each removal. Lock these accounts first; those found later are locked then.
    """
    return {
        (row.platform, row.account_id)
        for event in events
        if event.undone and (event.actor is None or event.undoes is not None)
        for row in _touched(connection, _undoing(event, None), for_update=False)
        if row.account_id is not None
    }


def undone_before(
    connection: Connection, events: Mapping[str, Event], accounts: Known
) -> dict[str, datetime]:
    """Return which of these new events are already undone, with the time. One statement."""
    if not events:
        return {}
    arrived = events.values()
    parameters = {
        "actors": list({i for _, i in accounts.ids_of(who_acted(event) for event in arrived)}),
        "platforms": list({event.platform for event in arrived}),
        "sources": list({event.source for event in arrived}),
        "since": min(event.happened_at for event in arrived),
        "keys": [key for event in arrived for key in (event.key, *event.former_keys)],
        "things": [event.thing for event in arrived if event.thing is not None],
    }
    rows = connection.execute(_UNDONE_BEFORE, parameters).all()
    known = [_undoing(row, _account_of(row, accounts)) for row in rows]
    found = {
        event_id: min((one.at for one in known if _undid(one, event, accounts)), default=None)
        for event_id, event in events.items()
    }
    return {event_id: at for event_id, at in found.items() if at is not None}


def undo(connection: Connection, events: Mapping[str, Event], accounts: Known) -> None:
    """Withdraw unpaid attempts and mark paid ones, by new undone events with their ids.

    The caller has locked the accounts, so none of them gets an attempt meanwhile.
    """
    for event_id, event in events.items():
        undoing = _undoing(event, _account_of(event, accounts))
        if undoing.account is None or undoing.keys:
            # Lock the accounts of attempts that were created since the first search.
            locked(connection, authors(connection, [event]))
        for attempt in _covered(connection, undoing):
            _undo_one(connection, attempt, undoing, event_id, event.received_at)


def is_void(connection: Connection, attempt: Row[Any]) -> bool:
    """Whether the action was undone inside its hold. The event may have arrived too late."""
    if attempt.undone_at is None:
        return False
    until = _held_until(connection, attempt)
    return until is not None and attempt.undone_at < until


def withdraw_void(connection: Connection, attempt: Row[Any], now: datetime) -> None:
    """Withdraw an attempt whose action was undone while a submission was in flight."""
    is_award_free = withdraw(connection, attempt, reason=UNDONE, caused_by=_BY_ITSELF, now=now)
    if is_award_free and attempt.source is not None and attempt.account_id is not None:
        undoing = Undoing(
            source=attempt.source,
            platform=attempt.platform,
            action=attempt.action,
            account=_own_account(connection, attempt),
            targets=(attempt.target,),
            thing=None,
            # Only this attempt: others were marked when the undone event arrived.
            keys=(attempt.id,),
            at=attempt.undone_at,
            told_at=attempt.undone_at,
        )
        _let_another_stand_in(connection, attempt, undoing, now)


def _own_account(connection: Connection, attempt: Row[Any]) -> Account:
    one = attempt.platform, attempt.account_id
    return accounts_of(connection, [one])[one]


def is_by_undoing(connection: Connection, attempt: Row[Any]) -> bool:
    """Whether a withdrawn attempt was withdrawn because its action was undone."""
    statement = (
        select(TransitionRow.caused_by)
        .where(TransitionRow.attempt_id == attempt.id, TransitionRow.to_state == State.WITHDRAWN)
        .order_by(TransitionRow.id.desc())
        .limit(1)
    )
    by = connection.execute(statement).scalar_one_or_none() or ""
    return by == _BY_ITSELF or by.startswith("source:")


def _account_of(of: Any, accounts: Known) -> Account | None:
    return None if of.actor is None else accounts.account_of((of.platform, of.actor))


def _undoing(of: Any, account: Account | None) -> Undoing:
    """Build from a new event, or from the row of a known one."""
    told_at = max(of.occurred_at, getattr(of, "retold_at", None) or of.occurred_at)
    return Undoing(
        source=of.source,
        platform=of.platform,
        action=of.action,
        account=account,
        targets=(of.target, *getattr(of, "target_aliases", ())),
        thing=of.thing,
        keys=() if of.undoes is None else (of.undoes, *getattr(of, "former_keys", ())),
        # Never later than the receipt, whatever the platform's clock says.
        at=min(told_at, of.received_at),
        told_at=told_at,
    )


def _undid(undoing: Undoing, event: Event, accounts: Known) -> bool:
    """Whether a known undoing takes this new event back."""
    if undoing.action != event.action:
        return False
    if event.shown_at is not None and event.shown_at > undoing.told_at:
        return False
    if any(undoing.names(event.source, key) for key in (event.key, *event.former_keys)):
        return event.told_at is None or event.told_at <= undoing.told_at
    if undoing.account is not None and undoing.account != accounts.account_of(who_acted(event)):
        return False
    if undoing.thing is not None and event.thing is not None:
        is_heard = undoing.account is not None or undoing.source == event.source
        return is_heard and undoing.thing == event.thing and undoing.at >= event.happened_at
    if undoing.keys or undoing.account is None:
        return False
    # The same time does not count as later.
    is_about = any(undoing.is_about(event.source, target) for target in event.targets)
    return is_about and undoing.at > event.happened_at


def _touched(
    connection: Connection, undoing: Undoing, *, for_update: bool = True
) -> list[Row[Any]]:
    """Return the attempts that the undoing may concern, locked, with columns of their events."""
    statement = (
        select(
            AttemptRow.__table__,
            EventRow.key.label("event_key"),
            EventRow.thing.label("event_thing"),
            EventRow.occurred_at.label("occurred_at"),
            EventRow.retold_at.label("retold_at"),
            EventRow.received_at.label("received_at"),
        )
        .outerjoin(EventRow, EventRow.id == AttemptRow.event_id)
        .where(
            or_(*_whose(connection, undoing)),
            AttemptRow.platform == undoing.platform,
            AttemptRow.action == undoing.action,
            AttemptRow.state.in_(_OPEN_TO_IT),
            AttemptRow.undone_at.is_(None),
        )
        .order_by(AttemptRow.id)
    )
    if for_update:
        statement = statement.with_for_update(of=AttemptRow)
    return list(connection.execute(statement))


def _whose(connection: Connection, undoing: Undoing) -> Iterable[ColumnElement[bool]]:
    """Match the account's attempts, and its customer's claims without an account.

    An event of any of the customer's accounts proves such a claim, so any of them may undo it.
    Attempts of a named event match too. Without an account, so do those of events about the
    undoing's thing.
    """
    account = undoing.account
    if account is None or undoing.keys:
        yield AttemptRow.event_id.in_(_named_events(connection, undoing))
    if account is None:
        return
    yield AttemptRow.account_id.in_(account.ids)
    owners = select(IdentityRow.customer_id).where(
        IdentityRow.platform == undoing.platform, IdentityRow.account_id.in_(account.ids)
    )
    customers = connection.execute(owners).scalars().all()
    if customers:
        yield AttemptRow.customer_id.in_(customers) & AttemptRow.account_id.is_(None)


def _named_events(connection: Connection, undoing: Undoing) -> Any:
    hashes = [hashes_of(connection).event_key(key) for key in undoing.keys]
    named: list[ColumnElement[bool]] = [EventRow.key_hash.in_(hashes)]
    if undoing.thing is not None and undoing.account is None:
        named.append(EventRow.thing == undoing.thing)
    return select(EventRow.id).where(EventRow.source == undoing.source, or_(*named))


def _covered(connection: Connection, undoing: Undoing) -> list[Row[Any]]:
    """Return the attempts whose action is taken back.

    Claims that may also be about another action are included only if nothing else is.
    """
    touched = _touched(connection, undoing)
    named = [attempt for attempt in touched if _covers(undoing, attempt)]
    if any(attempt.state != State.DUPLICATE for attempt in named):
        return named
    known = {attempt.id for attempt in named}
    claims = [one for one in touched if one.id not in known and _may_cover(undoing, one)]
    if not (undoing.keys or undoing.thing) or not claims:
        return [*named, *claims]
    # The undoing names one action. Its event, if received, would have proved the matching claim.
    return named if _is_known(connection, undoing) else [*named, claims[0]]


def _covers(undoing: Undoing, attempt: Row[Any]) -> bool:
    """Whether the attempt's action is taken back: the named one, or an earlier one."""
    is_again = attempt.retold_at is not None and attempt.retold_at > undoing.told_at
    if is_again:
        return False
    if undoing.names(attempt.source, attempt.event_key):
        return True
    acted_at = _acted_at(attempt)
    if acted_at > undoing.at:
        return False
    if undoing.thing is not None and attempt.event_thing is not None:
        is_heard = undoing.account is not None or undoing.source == attempt.source
        return is_heard and bool(undoing.thing == attempt.event_thing)
    if undoing.keys or undoing.account is None:
        return False
    # Claims have no thing, nor do events that an earlier version received.
    return undoing.is_about(attempt.source, attempt.target)


def _may_cover(undoing: Undoing, attempt: Row[Any]) -> bool:
    """Whether an unproven claim may be about the action that was taken back."""
    is_claim = attempt.token_id is not None and attempt.event_id is None
    is_about = undoing.is_about(attempt.source, attempt.target, is_claim=True)
    return is_claim and is_about and _acted_at(attempt) <= undoing.at


def _acted_at(attempt: Row[Any]) -> datetime:
    """When the event happened. For an unproven claim: when it was created."""
    if attempt.occurred_at is None:
        return attempt.created_at  # type: ignore[no-any-return]
    return min(attempt.occurred_at, attempt.received_at)  # type: ignore[no-any-return]


def _is_known(connection: Connection, undoing: Undoing) -> bool:
    """Whether the event that the undoing names was received."""
    hashes = [hashes_of(connection).event_key(key) for key in undoing.keys]
    known = select(EventRow.id).where(
        EventRow.source == undoing.source,
        ~EventRow.undone,
        or_(EventRow.key_hash.in_(hashes), EventRow.thing == (undoing.thing or "")),
    )
    return connection.execute(known).first() is not None


def _undo_one(
    connection: Connection, attempt: Row[Any], undoing: Undoing, event_id: str, now: datetime
) -> None:
    state = State(attempt.state)
    is_free_to_go = state in CANCELLABLE and attempt.lease_until is None
    if not (is_free_to_go and _is_inside(connection, attempt, undoing.at)):
        _flag(connection, attempt, undoing, event_id, now)
        return
    is_award_free = withdraw(
        connection,
        attempt,
        reason=f"{UNDONE} (event {event_id})",
        caused_by=f"source:{undoing.source}",
        now=now,
        undone_at=undoing.at,
    )
    if is_award_free:
        _let_another_stand_in(connection, attempt, undoing, now)


def _is_inside(connection: Connection, attempt: Row[Any], at: datetime) -> bool:
    """Whether a time is before the end of the attempt's hold. True while the attempt waits."""
    if State(attempt.state) in WAITING:
        return True
    until = _held_until(connection, attempt)
    return until is not None and at < until


def _held_until(connection: Connection, attempt: Row[Any]) -> datetime | None:
    """When the attempt's hold ends or ended; None without a hold."""
    if State(attempt.state) is State.HELD:
        return attempt.next_at  # type: ignore[no-any-return]
    if not attempt.hold_seconds:
        return None
    statement = (
        select(TransitionRow.at)
        .where(
            TransitionRow.attempt_id == attempt.id,
            TransitionRow.to_state == State.HELD,
            # An entry about a late undo does not start a hold.
            func.coalesce(TransitionRow.from_state, "") != State.HELD,
        )
        .order_by(TransitionRow.id.desc())
        .limit(1)
    )
    held_at = connection.execute(statement).scalar_one_or_none()
    return held_at and held_at + timedelta(seconds=attempt.hold_seconds)


def _flag(
    connection: Connection, attempt: Row[Any], undoing: Undoing, event_id: str, now: datetime
) -> None:
    """Mark the attempt as undone for admins. The state stays; a bar may be added."""
    connection.execute(
        update(AttemptRow)
        .where(AttemptRow.id == attempt.id)
        .values(undone_at=undoing.at, updated_at=now)
    )
    state = State(attempt.state)
    if state is State.DUPLICATE:
        return
    reason = f"{UNDONE_LATE} (event {event_id})"
    entry = transition(attempt.id, state, state, reason, f"source:{undoing.source}", now)
    record_transitions(connection, [entry])
    if attempt.bar_after_undo and attempt.customer_id is not None:
        _bar(connection, attempt, undoing.account or _own_account(connection, attempt), now)


def _bar(connection: Connection, attempt: Row[Any], account: Account, now: datetime) -> None:
    """Bar the account from this challenge. A second bar has no effect."""
    hashes = hashes_of(connection)
    challenge, platform = attempt.challenge_id, attempt.platform
    row = {
        "challenge_id": challenge,
        "platform": platform,
        "account_hash": hashes.bar_of_account(challenge, platform, account.key),
        "customer_hash": hashes.bar_of_customer(challenge, platform, attempt.customer_id),
        "attempt_id": attempt.id,
        "created_at": now,
    }
    connection.execute(insert_new(connection, BarRow, BarRow.id), row)


def _let_another_stand_in(
    connection: Connection, undone: Row[Any], undoing: Undoing, now: datetime
) -> None:
    """Give the award of an undone action to the account's next such action.

    For example, another comment on the post; or a new follow that arrived before the unfollow
    which preceded it.
    """
    who = undoing.account or _own_account(connection, undone)
    for attempt in _touched(connection, replace(undoing, account=who)):
        is_such = (
            attempt.state == State.DUPLICATE
            and attempt.event_id is not None
            and attempt.challenge_id == undone.challenge_id
            and attempt.occurrence == undone.occurrence
        )
        if not is_such or _covers(undoing, attempt):
            continue
        # The next attempt may be of another customer who has the award through another account.
        if _stand_in(connection, attempt, undoing, now):
            return


def _stand_in(connection: Connection, attempt: Row[Any], undoing: Undoing, now: datetime) -> bool:
    """Enter the award for this attempt; return whether it has the award now."""
    award = replace(award_of(attempt), bar_after_undo=attempt.bar_after_undo)
    if not enter(connection, [award], now):
        return False
    change_state(
        connection,
        attempt.id,
        State.DUPLICATE,
        earned_state(attempt.hold_seconds),
        reason=STANDS_IN,
        caused_by=f"source:{undoing.source}",
        now=now,
        next_at=now + timedelta(seconds=attempt.hold_seconds),
    )
    return True
