"""What becomes of an attempt whose action is taken back?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, or_, select, update

from app.domain.attempts import CANCELLABLE, State
from app.domain.events import Event
from app.steps.ledger import Award, earned_state, enter, insert_new
from app.steps.moves import move, remember, transition
from app.steps.withdrawing import withdraw
from app.storage.hashes import hashes_of
from app.storage.tables import AttemptRow, BarRow, EventRow, IdentityRow, TransitionRow

UNDONE = "the action was undone"
UNDONE_BEFORE = "the action had been undone before it was heard of"
UNDONE_LATE = "the action was undone after its hold, or when it was on its way"
STANDS_IN = "the action that had the award was undone"

# What an undoing still changes. The others ended without a reward.
_OPEN_TO_IT = frozenset(State) - {State.WITHDRAWN, State.REFUSED, State.EXPIRED}
# Their hold, if any, has not begun or would have begun later.
_WAITING = frozenset({State.UNLINKED, State.CHECKING})

# Made once: SQLAlchemy takes as long to prepare a statement as SQLite to run it.
_UNDONE_BEFORE = select(
    EventRow.source,
    EventRow.platform,
    EventRow.action,
    EventRow.actor,
    EventRow.target,
    EventRow.occurred_at,
    EventRow.received_at,
    EventRow.undoes,
).where(
    EventRow.undone,
    EventRow.actor.in_(bindparam("actors", expanding=True)),
    EventRow.platform.in_(bindparam("platforms", expanding=True)),
    or_(
        EventRow.occurred_at > bindparam("since"),
        EventRow.undoes.in_(bindparam("keys", expanding=True)),
    ),
)


@dataclass(frozen=True, slots=True)
class Undoing:
    """An event that takes actions back: which, and when."""

    source: str
    platform: str
    action: str
    actor: str
    target: str | None
    at: datetime
    undoes: str | None

    def is_about(self, source: str | None, target: str | None, *, is_claim: bool = False) -> bool:
        """By its target; where it names none, it speaks of what its own source told.

        A claim that names none may be about any target, as when an event confirms it.
        """
        if self.target is None or (is_claim and target is None):
            return source in (None, self.source)
        return target == self.target


def undone_before(connection: Connection, events: Mapping[str, Event]) -> dict[str, datetime]:
    """Which of these new events a known one takes back, and when it did. One statement."""
    if not events:
        return {}
    arrived = events.values()
    parameters = {
        "actors": list({event.actor for event in arrived}),
        "platforms": list({event.platform for event in arrived}),
        "since": min(event.happened_at for event in arrived),
        "keys": [event.key for event in arrived],
    }
    known = [_undoing(row) for row in connection.execute(_UNDONE_BEFORE, parameters)]
    found = {
        event_id: min((one.at for one in known if _undid(one, event)), default=None)
        for event_id, event in events.items()
    }
    return {event_id: at for event_id, at in found.items() if at is not None}


def undo(connection: Connection, events: Mapping[str, Event]) -> None:
    """Let new undone events, by id, withdraw what is not paid for and flag what is.

    The accounts are locked, so that no attempt of theirs is made meanwhile.
    """
    for event_id, event in events.items():
        if event.actor is None:
            continue
        undoing = _undoing(event)
        for attempt in _covered(connection, undoing):
            _undo_one(connection, attempt, undoing, event_id, event.received_at)


def is_void(connection: Connection, attempt: Row[Any]) -> bool:
    """Whether the action was undone inside its hold, though we heard of it too late."""
    if attempt.undone_at is None:
        return False
    until = _held_until(connection, attempt)
    return until is not None and attempt.undone_at < until


def withdraw_void(connection: Connection, attempt: Row[Any], now: datetime) -> None:
    """End an attempt that was on its way when its undoing came, and has come back."""
    is_award_free = withdraw(connection, attempt, reason=UNDONE, caused_by="undoing", now=now)
    if is_award_free and attempt.source is not None and attempt.account_id is not None:
        who = (attempt.source, attempt.platform, attempt.action, attempt.account_id, attempt.target)
        # About this attempt alone: whatever else was undone was flagged when the news came.
        undoing = Undoing(*who, at=attempt.undone_at, undoes=attempt.id)
        _let_another_stand_in(connection, attempt, undoing, now)


def _undoing(of: Any) -> Undoing:
    """From an event that arrives, or from the row of one that is known."""
    # Not later than we heard of it, whatever the platform's clock says.
    at = min(of.occurred_at, of.received_at)
    return Undoing(of.source, of.platform, of.action, of.actor, of.target, at, of.undoes)


def _undid(undoing: Undoing, event: Event) -> bool:
    """Whether an undoing that is known takes this new event back. At the same instant: no."""
    if undoing.undoes is not None:
        return (undoing.source, undoing.undoes) == (event.source, event.key)
    who = (undoing.platform, undoing.actor, undoing.action)
    return (
        who == (event.platform, event.actor, event.action)
        and undoing.is_about(event.source, event.target)
        and undoing.at > event.happened_at
    )


def _touched(connection: Connection, undoing: Undoing) -> list[Row[Any]]:
    """The attempts that it may be about, locked, with the times and keys of their events."""
    statement = (
        select(
            AttemptRow.__table__,
            EventRow.key.label("event_key"),
            EventRow.occurred_at.label("occurred_at"),
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
        .with_for_update(of=AttemptRow)
    )
    return list(connection.execute(statement))


def _whose(connection: Connection, undoing: Undoing) -> Iterable[ColumnElement[bool]]:
    """The account's attempts, and its customer's claims without an account.

    An event of any account of the customer's confirms such a claim; so may any of them undo it.
    """
    yield AttemptRow.account_id == undoing.actor
    owner = select(IdentityRow.customer_id).where(
        IdentityRow.platform == undoing.platform, IdentityRow.account_id == undoing.actor
    )
    customer = connection.execute(owner).scalar_one_or_none()
    if customer is not None:
        yield (AttemptRow.customer_id == customer) & AttemptRow.account_id.is_(None)


def _covered(connection: Connection, undoing: Undoing) -> list[Row[Any]]:
    """The attempts whose action is taken back.

    Claims that could be about another action as well are taken back only if nothing else is.
    """
    touched = _touched(connection, undoing)
    named = [attempt for attempt in touched if _covers(undoing, attempt)]
    if any(attempt.state != State.DUPLICATE for attempt in named):
        return named
    known = {attempt.id for attempt in named}
    claims = [one for one in touched if one.id not in known and _may_cover(undoing, one)]
    if undoing.undoes is None or not claims:
        return [*named, *claims]
    # It names one action. If we received that, it would have proved the claim that is about it.
    return named if _is_known(connection, undoing) else [*named, claims[0]]


def _covers(undoing: Undoing, attempt: Row[Any]) -> bool:
    """Whether the attempt's action is what was taken back: that very one, or an earlier one."""
    if undoing.undoes is not None:
        return (undoing.source, undoing.undoes) == (attempt.source, attempt.event_key)
    acted_at = _acted_at(attempt)
    return undoing.is_about(attempt.source, attempt.target) and acted_at <= undoing.at


def _may_cover(undoing: Undoing, attempt: Row[Any]) -> bool:
    """Whether a claim that no event proved may be about what was taken back."""
    is_claim = attempt.token_id is not None and attempt.event_id is None
    is_about = undoing.is_about(attempt.source, attempt.target, is_claim=True)
    return is_claim and is_about and _acted_at(attempt) <= undoing.at


def _acted_at(attempt: Row[Any]) -> datetime:
    """When the event happened; of a claim that none proved, when it was made."""
    if attempt.occurred_at is None:
        return attempt.created_at  # type: ignore[no-any-return]
    return min(attempt.occurred_at, attempt.received_at)  # type: ignore[no-any-return]


def _is_known(connection: Connection, undoing: Undoing) -> bool:
    """Whether we received the event that it names."""
    key_hash = hashes_of(connection).event_key(undoing.undoes or "")
    known = select(EventRow.id).where(
        EventRow.source == undoing.source, EventRow.key_hash == key_hash
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
    """Whether that time is inside the attempt's hold, or before it."""
    if State(attempt.state) in _WAITING:
        return True
    until = _held_until(connection, attempt)
    return until is not None and at < until


def _held_until(connection: Connection, attempt: Row[Any]) -> datetime | None:
    """When the attempt's hold ends or ended; None: it never had one."""
    if State(attempt.state) is State.HELD:
        return attempt.next_at  # type: ignore[no-any-return]
    if not attempt.hold_seconds:
        return None
    statement = (
        select(TransitionRow.at)
        .where(
            TransitionRow.attempt_id == attempt.id,
            TransitionRow.to_state == State.HELD,
            # A note that it was undone after its hold began none.
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
    """Note for the admins that it was undone; its state stays."""
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
    remember(connection, [entry])
    if attempt.bar_after_undo and attempt.customer_id is not None:
        _bar(connection, attempt, undoing.actor, now)


def _bar(connection: Connection, attempt: Row[Any], account_id: str, now: datetime) -> None:
    """Bar the account from this challenge; once is enough."""
    hashes = hashes_of(connection)
    challenge, platform = attempt.challenge_id, attempt.platform
    row = {
        "challenge_id": challenge,
        "platform": platform,
        "account_hash": hashes.bar_of_account(challenge, platform, account_id),
        "customer_hash": hashes.bar_of_customer(challenge, platform, attempt.customer_id),
        "attempt_id": attempt.id,
        "created_at": now,
    }
    connection.execute(insert_new(connection, BarRow, BarRow.id), row)


def _let_another_stand_in(
    connection: Connection, undone: Row[Any], undoing: Undoing, now: datetime
) -> None:
    """Let the account's next such action earn what the undone one had kept from it.

    Another comment on the post, say; or a new follow, told before the unfollow that preceded it.
    """
    for attempt in _touched(connection, undoing):
        is_such = (
            attempt.state == State.DUPLICATE
            and attempt.event_id is not None
            and attempt.challenge_id == undone.challenge_id
            and attempt.occurrence == undone.occurrence
        )
        if not is_such or _covers(undoing, attempt):
            continue
        # The next one may be another customer's, if this one's has the award by another account.
        if _stand_in(connection, attempt, undoing, now):
            return


def _stand_in(connection: Connection, attempt: Row[Any], undoing: Undoing, now: datetime) -> bool:
    """Whether it now has the award."""
    award = Award(
        attempt.id,
        attempt.challenge_id,
        attempt.customer_id,
        attempt.platform,
        attempt.account_id,
        attempt.occurrence,
        attempt.bar_after_undo,
    )
    if not enter(connection, [award], now):
        return False
    move(
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
