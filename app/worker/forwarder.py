"""Submits one due attempt: lease, call to Gameball, record of the answer."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from app.domain.answers import Answer, Outcome, discreet
from app.domain.confirmation import has_landed
from app.gameball.client import GameballClient
from app.metrics import SUBMISSION_SECONDS, SUBMISSIONS
from app.steps import forwarding
from app.steps.cases import case_of
from app.steps.confirmation import Followed
from app.steps.forwarding import Deferred, ForwardingPolicy, StartedSubmission
from app.steps.read_rate_limit import DOCUMENTED, ReadRateLimit
from app.storage.database import Database
from app.storage.errors import StorageUnavailable
from app.worker.campaign_names import CampaignNames
from app.worker.paced_reader import Reader
from app.worker.precheck import EligibilityCheck
from app.worker.reward_lookup import RewardLookup

log = structlog.get_logger(__name__)

_FINISH_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarder:
    """Submits attempts for one worker. Threads share it; its state is in the database."""

    database: Database
    client: GameballClient
    policy: ForwardingPolicy
    worker: str
    now: Callable[[], datetime]
    create_missing_customers: bool = False
    asker: EligibilityCheck | None = None
    read_pace: ReadRateLimit = DOCUMENTED
    names: CampaignNames | None = None

    def start(self, attempt_id: str) -> StartedSubmission | Deferred:
        """Lease an attempt and record that its submission starts."""
        return self.database.write(
            lambda c: forwarding.start(c, attempt_id, self.worker, self.policy, self.now())
        )

    def close(self) -> None:
        self.client.close()
        if self.asker is not None:
            self.asker.client.close()

    def carry_out(self, made: StartedSubmission, started: float) -> None:
        """Call Gameball for a started submission and record how it ended.

        ``started`` is the `time.monotonic` at which the lease was acquired.
        """
        looks_first = self._must_look_first(made)
        if looks_first and not self._may_send_again(made):
            return
        if self.asker is not None and not self.asker.may_send(made):
            SUBMISSIONS.labels(Outcome.NOT_SENT).inc()
            return

        def may_send() -> bool:
            is_leased = self._is_leased(made, started)
            return is_leased and (looks_first or not self._must_look_first(made))

        self._record(made, self._call(made, may_send))

    def _must_look_first(self, made: StartedSubmission) -> bool:
        return forwarding.must_look_first(made, self.policy, self.now())

    def _is_leased(self, made: StartedSubmission, started: float) -> bool:
        """Whether there is still time to send within the lease.

        Both clocks must agree: the monotonic clock may stop while the machine sleeps, and the wall
        clock may be set.
        """
        by_the_wall = (self.now() - made.started_at).total_seconds()
        return max(time.monotonic() - started, by_the_wall) <= self._send_within()

    def _send_within(self) -> float:
        """Return the latest time to send, in seconds after the lease began.

        It leaves enough of the lease for the answer.
        """
        return self.policy.lease_seconds - self.client.account.read_timeout

    def _call(self, made: StartedSubmission, may_send: Callable[[], bool]) -> Answer:
        with SUBMISSION_SECONDS.time():
            answer = self.client.submit(
                made.customer_id, made.challenge_id, made.email, made.mobile, may_send
            )
        if answer.outcome is Outcome.NO_CUSTOMER and self.create_missing_customers:
            self.client.create_customer(made.customer_id, made.email, made.mobile)
        return discreet(answer, made.email, made.mobile)

    def _may_send_again(self, made: StartedSubmission) -> bool:
        """Check whether an earlier submission landed.

        False means that the result is recorded and nothing must be sent.
        """
        landed = self._has_landed(made)
        if landed is False:
            self.database.write(lambda c: forwarding.never_landed(c, made))
            return True
        self._finish(lambda: (self._write_landed if landed else self._write_unknown)(made))
        return False

    def _has_landed(self, made: StartedSubmission) -> bool | None:
        """Return whether Gameball shows a reward for the attempt. None: unknown, maybe for good."""
        settle_seconds = self.policy.retries.window_at_most_seconds
        with self.database.read() as connection:
            case = case_of(connection, made.attempt_id, settle_seconds)
        reader = Reader(
            database=self.database,
            pace=self.read_pace,
            now=self.now,
            seconds_each=self.client.account.longest_call_seconds,
        )
        followed = Followed(
            attempt_id=made.attempt_id,
            customer_id=made.customer_id,
            case=case,
            lease_until=made.lease_until,
            fence=made.fence,
        )
        names = self.names or CampaignNames(client=self.client)
        looking = RewardLookup(client=self.client, reader=reader, names=names, followed=[followed])
        began_at = self.now()
        looking.look(self.now, lambda: False)
        if looking.interrupted:
            return None
        return has_landed(case, looking.seen[made.attempt_id], began_at)

    def _write_landed(self, made: StartedSubmission) -> None:
        self.database.write(lambda c: forwarding.landed_after_all(c, made, self.now()))

    def _write_unknown(self, made: StartedSubmission) -> None:
        self.database.write(lambda c: forwarding.cannot_know(c, made, self.policy, self.now()))

    def _record(self, made: StartedSubmission, answer: Answer) -> None:
        answered_at = self.now()

        def write() -> None:
            decision = self.database.write(
                lambda c: forwarding.finish(c, made, answer, self.policy, answered_at)
            )
            SUBMISSIONS.labels(answer.outcome).inc()
            log.info(
                "submission.ended",
                attempt=made.attempt_id,
                challenge=made.challenge_id,
                outcome=answer.outcome,
                status=answer.status,
                code=answer.code,
                request=answer.request_id,
                then=decision and decision.then,
            )

        self._finish(write)

    def _finish(self, write: Callable[[], None]) -> None:
        """Record an answer. Retry for one lease time: losing the answer is safe but slow."""
        give_up = time.monotonic() + self.policy.lease_seconds
        while True:
            try:
                return write()
            except StorageUnavailable as error:
                log.warning("submission.not_recorded", problem=str(error))
                if time.monotonic() > give_up:
                    return None
                time.sleep(_FINISH_PAUSE_SECONDS)
