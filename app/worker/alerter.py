"""The thread that raises and clears alerts and sends their notices."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Row

from app.domain.alerts import Limits, judge
from app.domain.sources import Expected
from app.outgoing.alert_messages import AlertText, message_for
from app.outgoing.alert_receivers import Send, post
from app.settings.receivers import Receiver
from app.steps import alerts
from app.steps.alerts import Changed
from app.storage.database import Database
from app.worker.loop import Loop

log = structlog.get_logger(__name__)

# Between two checks of one database, by any process.
LOOK_SECONDS = 15.0
# Between two rounds of one process.
_STEP_SECONDS = 2.0
# A slow receiver must not delay the end of a process.
_PATIENCE_SECONDS = 2.0
_AT_ONCE = 50


class Alerter:
    """Checks for alerts and sends notices in its own thread.

    A slow receiver blocks nothing else. Several alerters can share a database: only one of them
    checks at a time, and only one sends a notice.
    """

    def __init__(
        self,
        database: Database,
        receivers: Sequence[Receiver],
        limits: Limits,
        expected: Mapping[str, Expected],
        now: Callable[[], datetime],
        send: Send = post,
    ) -> None:
        self._database = database
        self._receivers = {receiver.name: receiver for receiver in receivers}
        self._limits = limits
        self._expected = expected
        self._now = now
        self._send = send
        self._loop = Loop("alerter", self._round, first_wait_seconds=_STEP_SECONDS)

    def start(self) -> None:
        """Start the thread if the configuration has receivers."""
        if self._receivers:
            self._loop.start()

    def stop(self) -> None:
        """Stop the thread. A notice in flight may be sent again, with the same id."""
        self._loop.stop(_PATIENCE_SECONDS)

    def look(self) -> list[Changed]:
        """Raise and clear alerts if it is our turn. Returns the changes."""
        with self._database.read() as connection:
            if not alerts.is_turn(connection, self._now()):
                return []
        turn = self._database.write(lambda c: alerts.take_turn(c, LOOK_SECONDS, self._now()))
        if not turn:
            return []
        # Read outside the write transaction: on SQLite every callback waits for a write.
        with self._database.read() as connection:
            now = self._now()
            within_seconds = self._limits.within_seconds
            situation = alerts.situation(connection, self._expected, within_seconds, now)
        found = judge(situation, self._limits, now)
        changed = self._database.write(
            lambda c: alerts.settle(c, found, self._receivers, self._now())
        )
        for one in changed:
            log.warning("alert.changed", kind=one.kind, subject=one.subject, what=one.what)
        return changed

    def deliver(self) -> None:
        """Send the due notices. After a failure, skip the receiver for the rest of this round."""
        with self._database.read() as connection:
            due = alerts.due_notices(connection, self._now(), _AT_ONCE)
        failing: set[str] = set()
        for notice in due:
            if self._loop.is_stopping:
                return
            if notice.receiver not in failing and not self._deliver_one(notice):
                failing.add(notice.receiver)

    def _deliver_one(self, notice: Row[Any]) -> bool:
        receiver = self._receivers.get(notice.receiver)
        if receiver is None:
            problem = "no receiver has this name any more"
            self._database.write(lambda c: alerts.give_up(c, notice.id, problem))
            return True
        alert = self._database.write(lambda c: alerts.take(c, notice, self._now()))
        if alert is None:
            return True
        told = told_of(notice, alert)
        problem_or_none = self._send(receiver, message_for(receiver, told, self._now()))
        self._record(notice, problem_or_none)
        return problem_or_none is None

    def _record(self, notice: Row[Any], problem: str | None) -> None:
        fields = {"receiver": notice.receiver, "notice": notice.id, "problem": problem}
        if problem is None:
            self._database.write(lambda c: alerts.sent(c, notice.id, self._now()))
            log.info("alert.sent", **fields)
        elif self._database.write(lambda c: alerts.failed(c, notice.id, problem, self._now())):
            log.warning("alert.not_sent", **fields)
        else:
            log.error("alert.given_up", **fields)

    def _round(self) -> float:
        self._loop.outlive(self.look)
        # Also after an error in `look`: notices of earlier alerts must still be sent.
        self._loop.outlive(self.deliver)
        return _STEP_SECONDS


def told_of(notice: Row[Any], alert: Row[Any]) -> AlertText:
    return AlertText(
        id=notice.id,
        what=notice.what,
        kind=alert.kind,
        subject=alert.subject,
        text=alert.text,
        raised_at=alert.raised_at,
        cleared_at=alert.cleared_at if notice.what == alerts.What.CLEARED else None,
    )
