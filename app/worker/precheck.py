"""Reads a customer's progress before a submission."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from app.domain.confirmation import Progress, is_ineligible, why_not
from app.domain.retries import unresolved_since
from app.gameball.client import GameballClient
from app.gameball.progress import read_progress
from app.settings.sections import ReadBefore
from app.steps import confirmation, forwarding, leases
from app.steps.forwarding import StartedSubmission
from app.steps.read_rate_limit import ReadKind
from app.storage.database import Database
from app.worker.paced_reader import Reader

# An attempt that has waited this long can also wait for one read.
_WAITED = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class EligibilityCheck:
    """Reads the customer's progress before a submission and keeps the count as the baseline.

    Later counts are compared with the baseline. ``client`` has short time-outs, because the lease
    of the attempt runs. ``refuses``: do not send an attempt of a customer who cannot be rewarded.
    If the progress cannot be read now, the attempt is sent.
    """

    database: Database
    client: GameballClient
    reader: Reader
    now: Callable[[], datetime]
    read_before: ReadBefore = ReadBefore.WAITED
    refuses: bool = False

    def may_send(self, made: StartedSubmission) -> bool:
        """Return whether to send. False means that the refusal is recorded."""
        # While an earlier submission is unresolved, the count may already include it.
        if not self._asks(made) or unresolved_since(made.past) is not None:
            return True
        progress = self._progress(made)
        if progress is None:
            return True
        if self.refuses and is_ineligible(progress):
            reason = f"Gameball would not reward it: {why_not(progress, self.now())}"
            return not self.database.write(lambda c: forwarding.refuse(c, made, reason, self.now()))
        if progress.achieved is not None:
            count = progress.achieved
            self.database.write(lambda c: _keep(c, made, count))
        return True

    def _asks(self, made: StartedSubmission) -> bool:
        if self.refuses or self.read_before is ReadBefore.ALWAYS:
            return True
        has_waited = made.started_at - made.created_at >= _WAITED
        return self.read_before is ReadBefore.WAITED and has_waited

    def _progress(self, made: StartedSubmission) -> Progress | None:
        answers = self.reader.read(
            ReadKind.CUSTOMERS,
            [made.customer_id],
            lambda customer: read_progress(self.client, customer, made.challenge_id),
        )
        return answers.read.get(made.customer_id, {}).get(made.challenge_id)


def _keep(connection: Connection, made: StartedSubmission, count: int) -> None:
    """Keep the count, unless the lease is lost: then it may include another worker's call."""
    if leases.is_held(connection, made.attempt_id, made.fence):
        confirmation.keep_baseline(connection, made.attempt_id, count, made.started_at)
