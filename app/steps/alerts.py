"""Raises and clears alerts, and schedules their notices to receivers."""
# All processes check in turn. Each alert is raised once and cleared once.

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, bindparam, exists, func, insert, or_, select, text, update

from app.domain.alerts import AlertKind, Judgement, Situation
from app.domain.attempts import OUTCOMES, State
from app.domain.clock import is_still_to_come, latest, new_id
from app.domain.sources import Expected, issues
from app.steps import health
from app.steps.ledger import insert_new
from app.steps.sources import judged_seen
from app.storage.tables import AlertRow, AlertWatchRow, NoticeRow, TransitionRow, aliased

MAX_TEXT = 500
# Delays between attempts to send. After the last one the notice is given up.
RETRY_SECONDS = (5, 30, 120, 600, 3_600, 21_600, 86_400)
# Longer than one call may take. A notice of a process that died becomes due again after this.
TAKEN_SECONDS = 60.0
_LONGEST_TURN_SECONDS = 60.0
# Must match the index word by word, or SQLite does not use the index.
_ENDED = "to_state IN ('dead', 'granted', 'not_granted', 'unconfirmed')"


# These run every two seconds, so they are built once.
_NEXT_LOOK = select(AlertWatchRow.next_look_at)
_EARLIER = aliased(NoticeRow)
_DUE = (
    select(NoticeRow.__table__)
    .where(
        NoticeRow.next_at.is_not(None),
        NoticeRow.next_at <= bindparam("now"),
        # A receiver gets "raised" before "cleared".
        ~exists().where(
            _EARLIER.alert_id == NoticeRow.alert_id,
            _EARLIER.receiver == NoticeRow.receiver,
            _EARLIER.id < NoticeRow.id,
            _EARLIER.next_at.is_not(None),
        ),
    )
    .order_by(NoticeRow.next_at, NoticeRow.id)
    .limit(bindparam("most"))
)


class What(StrEnum):
    """The event that a notice reports."""

    RAISED = "raised"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Changed:
    """An alert that this check raised or cleared."""

    kind: AlertKind
    subject: str
    what: What


def take_turn(connection: Connection, every_seconds: float, now: datetime) -> bool:
    """Reserve this check. False: another process has it, or it is not due."""
    never = datetime(2000, 1, 1, tzinfo=UTC)
    connection.execute(insert_new(connection, AlertWatchRow), {"id": 1, "next_look_at": never})
    # A later time was written by a wrong clock, and would stop all checks until then.
    is_time = or_(
        AlertWatchRow.next_look_at <= now,
        AlertWatchRow.next_look_at > latest(now, _LONGEST_TURN_SECONDS),
    )
    following = now + timedelta(seconds=every_seconds)
    taken = update(AlertWatchRow).where(is_time).values(next_look_at=following)
    return connection.execute(taken).rowcount == 1


def is_turn(connection: Connection, now: datetime) -> bool:
    """Whether a check is due. It only reads, so waiting processes write nothing."""
    at = connection.execute(_NEXT_LOOK).scalar_one_or_none()
    return not is_still_to_come(at, now, _LONGEST_TURN_SECONDS)


def situation(
    connection: Connection, expected: Mapping[str, Expected], within_seconds: float, now: datetime
) -> Situation:
    """Return the state of the service and of these sources, as input for `judge`.

    ``within_seconds`` is the window in which ended attempts are counted.
    """
    forwarding = health.forwarding(connection)
    seen = judged_seen(connection, expected, now)
    lowered = {name: one.lowered for name, one in expected.items()}
    return Situation(
        paused_at=forwarding.paused_at,
        pause_reason=forwarding.pause_reason,
        oldest_due_at=forwarding.oldest_due_at,
        ended=_ended(connection, now - timedelta(seconds=within_seconds)),
        issues={name: issues(seen[name], expected[name], now) for name in expected},
        lingering={name: issues(seen[name], lowered[name], now) for name in lowered},
    )


def settle(
    connection: Connection, judgement: Judgement, receivers: Iterable[str], now: datetime
) -> list[Changed]:
    """Raise new alerts, clear those that are over, and make notices for all receivers.

    Returns the changes of this process. A unique constraint and a conditional UPDATE make sure
    that only one process raises or clears an alert.
    """
    names = list(receivers)
    still = {(AlertKind(row.kind), row.subject): row for row in open_alerts(connection)}
    changed = [
        Changed(kind, subject, What.RAISED)
        for (kind, subject), told in judgement.wrong.items()
        if (kind, subject) not in still and _raise(connection, kind, subject, told, names, now)
    ]
    for (kind, subject), row in still.items():
        is_over = judgement.is_over(kind, subject, row.raised_at, now)
        if is_over and _clear(connection, row, names, now):
            changed.append(Changed(kind, subject, What.CLEARED))
    return changed


def test(connection: Connection, receivers: Iterable[str], now: datetime) -> None:
    """Send a test: make notices of an alert that is cleared at once."""
    told = "a test: somebody wants to know whether this arrives"
    row = {"kind": AlertKind.TEST, "subject": "", "text": told, "raised_at": now, "cleared_at": now}
    alert_id = connection.execute(insert(AlertRow).values(row).returning(AlertRow.id)).scalar_one()
    _notify(connection, alert_id, What.RAISED, receivers, now)


def open_alerts(connection: Connection) -> list[Row[Any]]:
    """Return the alerts that are not cleared, oldest first."""
    statement = select(AlertRow.__table__).where(AlertRow.cleared_at.is_(None))
    return list(connection.execute(statement.order_by(AlertRow.id)))


def listing(connection: Connection, limit: int) -> list[Row[Any]]:
    """Return all open alerts, then cleared ones up to ``limit``; each group newest first.

    Open alerts are always included, however many others were raised and cleared since.
    """
    still = open_alerts(connection)[::-1]
    over = select(AlertRow.__table__).where(AlertRow.cleared_at.is_not(None))
    newest = over.order_by(AlertRow.id.desc()).limit(max(0, limit - len(still)))
    return [*still, *connection.execute(newest)]


def due_notices(connection: Connection, now: datetime, limit: int) -> list[Row[Any]]:
    """Return the notices that are due now. Each receiver gets an alert's notices in order."""
    return list(connection.execute(_DUE, {"now": now, "most": limit}))


def take(connection: Connection, notice: Row[Any], now: datetime) -> Row[Any] | None:
    """Reserve a notice for `TAKEN_SECONDS`, and return its alert. None: another process has it."""
    taken = connection.execute(
        update(NoticeRow)
        .where(NoticeRow.id == notice.id, NoticeRow.next_at == notice.next_at)
        .values(next_at=now + timedelta(seconds=TAKEN_SECONDS), tries=NoticeRow.tries + 1)
    )
    if taken.rowcount != 1:
        return None
    found = select(AlertRow.__table__).where(AlertRow.id == notice.alert_id)
    return connection.execute(found).one()


def sent(connection: Connection, notice_id: str, now: datetime) -> None:
    """Record that a notice was sent."""
    values = {"next_at": None, "sent_at": now, "problem": None}
    connection.execute(update(NoticeRow).where(NoticeRow.id == notice_id).values(values))


def failed(connection: Connection, notice_id: str, problem: str, now: datetime) -> bool:
    """Store the problem and schedule the next try. False: the notice is given up."""
    tries = connection.execute(
        select(NoticeRow.tries).where(NoticeRow.id == notice_id)
    ).scalar_one()
    is_over = tries > len(RETRY_SECONDS)
    next_at = None if is_over else now + timedelta(seconds=RETRY_SECONDS[max(tries, 1) - 1])
    values = {"next_at": next_at, "problem": problem[:200]}
    connection.execute(update(NoticeRow).where(NoticeRow.id == notice_id).values(values))
    return not is_over


def give_up(connection: Connection, notice_id: str, problem: str) -> None:
    """Record why a notice is not tried again."""
    values = {"next_at": None, "problem": problem[:200]}
    connection.execute(update(NoticeRow).where(NoticeRow.id == notice_id).values(values))


def _ended(connection: Connection, since: datetime) -> dict[State, int]:
    columns: tuple[Any, ...] = (TransitionRow.to_state, func.count())
    statement = (
        select(*columns)
        .where(
            text(_ENDED),
            TransitionRow.at > since,
            # An entry about an undo does not change the state.
            TransitionRow.from_state != TransitionRow.to_state,
        )
        .group_by(TransitionRow.to_state)
    )
    found = {State(state): count for state, count in connection.execute(statement)}
    return {state: found.get(state, 0) for state in (State.DEAD, *OUTCOMES)}


def _raise(
    connection: Connection,
    kind: AlertKind,
    subject: str,
    told: str,
    names: list[str],
    now: datetime,
) -> bool:
    row = {"kind": kind, "subject": subject, "text": told[:MAX_TEXT], "raised_at": now}
    made = connection.execute(insert_new(connection, AlertRow, AlertRow.id), row).first()
    if made is None:
        return False
    _notify(connection, made.id, What.RAISED, names, now)
    return True


def _clear(connection: Connection, alert: Row[Any], names: list[str], now: datetime) -> bool:
    is_open = (AlertRow.id == alert.id, AlertRow.cleared_at.is_(None))
    cleared = connection.execute(update(AlertRow).where(*is_open).values(cleared_at=now))
    if cleared.rowcount != 1:
        return False
    _notify(connection, alert.id, What.CLEARED, names, now)
    return True


def _notify(
    connection: Connection, alert_id: int, what: What, names: Iterable[str], now: datetime
) -> None:
    rows = [
        {
            "id": new_id(now),
            "alert_id": alert_id,
            "what": what,
            "receiver": name,
            "made_at": now,
            "next_at": now,
            "tries": 0,
        }
        for name in names
    ]
    if rows:
        connection.execute(insert(NoticeRow), rows)
