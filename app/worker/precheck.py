"""What does Gameball say of an attempt before it is submitted?"""

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

# What has waited this long is not hurried by sparing it one read.
_WAITED = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class EligibilityCheck:
    """Reads the customer's progress before a submission; the count then is what later ones mean.

    ``client`` is an impatient one: the lease of the attempt goes on. ``refuses``: an attempt of a
    customer who cannot be rewarded is not sent. What cannot be read now, holds nothing up.
    """

    database: Database
    client: GameballClient
    reader: Reader
    now: Callable[[], datetime]
    read_before: ReadBefore = ReadBefore.WAITED
    refuses: bool = False

    def may_send(self, made: StartedSubmission) -> bool:
        """False: it is refused, and that is recorded."""
        # With something on its way a count from now says nothing of before.
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
    """Remember the count, unless it was read so late that another worker's call may be in it."""
    if leases.is_held(connection, made.attempt_id, made.fence):
        confirmation.keep_baseline(connection, made.attempt_id, count, made.started_at)
