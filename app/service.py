"""Build the service from its parts. No other module does."""

import math
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from app.domain.clock import utc_now
from app.domain.confirmation import ConfirmationPolicy
from app.domain.events import Event
from app.domain.nudges import Nudge
from app.domain.rules import earned_by
from app.gameball.client import GameballAccount, GameballClient
from app.outgoing.published_keys import PublishedKeys
from app.platforms.kit.callback import KeysUnavailable
from app.platforms.kit.published import Fetcher
from app.settings.changes import changes
from app.settings.configuration import Configuration, load_configuration
from app.settings.environment import Environment
from app.settings.errors import ConfigurationError
from app.steps import nudging
from app.steps.audit import Change, record
from app.steps.forwarding import ForwardingPolicy
from app.steps.intake import Arrival, Receipt, receive
from app.steps.joining import Joining
from app.steps.rate_limit import RateLimit
from app.steps.read_rate_limit import ReadKind, ReadRateLimit
from app.steps.retention import Kept
from app.steps.sightings import SightingsBuffer
from app.storage.database import Database
from app.storage.errors import StatementFailed, StorageUnavailable
from app.storage.opening import build_database, secret_keys
from app.storage.reading import PeoplesReads

log = structlog.get_logger(__name__)

# How long a call may exceed its own time-outs before its lease expires.
_LEASE_MARGIN_SECONDS = 5.0
# The share of a platform's deadline that a write may take.
_SHARE_OF_A_DEADLINE = 0.8
# The time-out of a read before a submission, well within that margin.
_HASTY_SECONDS = 2.0


def _nobody() -> None:
    """The default of ``notify``: no worker runs in this process."""


@dataclass(slots=True, kw_only=True)
class Service:
    """One installation: its environment, configuration and database, and the parts built on them.

    It is made before a web server forks; connections and threads start at first use, after it.
    """

    environment: Environment
    configuration: Configuration
    database: Database
    secret_keys: tuple[str, ...] = field(repr=False)
    now: Callable[[], datetime] = utc_now
    wake_worker: Callable[[], None] = _nobody
    is_worker_alive: Callable[[], bool] | None = None
    """The worker in this process, if there is one."""
    wake_confirmer: Callable[[], None] = _nobody
    published_keys: Fetcher = field(default_factory=PublishedKeys)
    watch: SightingsBuffer = field(init=False, repr=False)
    people: PeoplesReads = field(init=False, repr=False)
    """Reads for API users; `database` is for the intake and the worker."""

    def __post_init__(self) -> None:
        self.watch = SightingsBuffer(self.database)
        self.people = PeoplesReads(
            self.database.url,
            self.database.vault,
            lambda: self.configuration.history.query_deadline,
        )
        self._equip_adapters()

    def close(self) -> None:
        """Write what is still in memory, and close the database."""
        self.watch.close()
        self.people.close()
        self.database.close()

    def receive(
        self,
        events: Sequence[Event],
        deadline_seconds: float = math.inf,
        joinings: Sequence[Joining] = (),
    ) -> Sequence[Receipt]:
        """Store events, and return once they are on disk. Raises `StorageUnavailable`.

        ``joinings``: ids of the same account, stored in the same transaction. ``deadline_seconds``:
        the platform's deadline. It gets an error before that, and sends again.
        """
        rules = self.configuration.rules
        wait = timedelta(seconds=self.configuration.attempts.unlinked_for)
        arrivals = [
            Arrival(
                event,
                () if event.excluded else tuple(earned_by(event, rules)),
                event.received_at + wait,
            )
            for event in events
        ]
        receipts: Sequence[Receipt] = self.database.write_each(
            receive, [*joinings, *arrivals], deadline_seconds * _SHARE_OF_A_DEADLINE
        )
        self.wake_worker()
        return receipts[len(joinings) :]

    def hear(self, nudges: Sequence[Nudge], deadline_seconds: float = math.inf) -> Sequence[bool]:
        """Request a lookup now for each nudge; return for each whether an attempt waits for it.

        When this returns, that is on disk. Raises `StorageUnavailable`.
        """
        heard: Sequence[bool] = self.database.write_each(
            nudging.hear, nudges, deadline_seconds * _SHARE_OF_A_DEADLINE
        )
        if any(heard):
            self.wake_confirmer()
        return heard

    def reload(self) -> bool:
        """Read the configuration again. An invalid one is logged, and the old one stays."""
        before = self.configuration
        try:
            self.configuration = load_configuration(before.path)
        except ConfigurationError as error:
            log.error("configuration.rejected", mistakes=[str(m) for m in error.mistakes])
            return False
        self._equip_adapters()
        log.info(
            "configuration.loaded",
            sources=len(self.configuration.sources),
            rules=len(self.configuration.rules),
        )
        self._note_reload(changes(before, self.configuration))
        return True

    def fetch_keys(self) -> None:
        """Start fetching published keys before the first callback, which would otherwise fail."""
        for adapter in self.configuration.sources.values():
            if adapter.fetches is not None:
                with suppress(KeysUnavailable):
                    adapter.fetched_keys()

    def _equip_adapters(self) -> None:
        for adapter in self.configuration.sources.values():
            adapter.fetch = self.published_keys

    def _note_reload(self, changed: list[str]) -> None:
        """Write the changes to the audit log on a separate connection, as a fork may follow."""
        database = build_database(self.environment)
        try:
            database.write(
                lambda c: record(
                    c,
                    Change.CONFIGURATION_LOADED,
                    by=f"signal:{worker_name()}",
                    now=self.now(),
                    subject=str(self.configuration.path)[:330],
                    changes=changed,
                )
            )
        except StorageUnavailable as error:
            log.error("configuration.not_audited", changes=changed, problem=str(error))
        except StatementFailed:
            # The web server's main process runs this, and must go on.
            log.exception("configuration.not_audited", changes=changed)
        finally:
            database.close()

    def account(self) -> GameballAccount:
        settings = self.configuration.gameball
        return GameballAccount(
            base_url=self.environment.gameball_base_url,
            api_version=self.environment.gameball_api_version,
            api_key=self.environment.gameball_api_key,
            secret_key=self.environment.gameball_secret_key,
            connect_timeout=settings.connect_timeout,
            read_timeout=settings.read_timeout,
        )

    def gameball_client(self) -> GameballClient:
        return GameballClient(self.account(), self.configuration.worker.threads)

    def impatient_client(self) -> GameballClient:
        """Return a client for reads before a submission, whose lease is running."""
        account = self.account()
        hasty = replace(
            account,
            connect_timeout=min(account.connect_timeout, _HASTY_SECONDS / 2),
            read_timeout=min(account.read_timeout, _HASTY_SECONDS / 2),
        )
        return GameballClient(hasty, self.configuration.worker.threads)

    def confirmation_policy(self) -> ConfirmationPolicy:
        settings = self.configuration.confirmation
        # Three lists and the campaigns' names, each with up to three tries or pages.
        lease_seconds = 12 * self.account().longest_call_seconds + _LEASE_MARGIN_SECONDS
        return ConfirmationPolicy(
            delays=settings.delays,
            give_up_seconds=settings.give_up_after,
            settle_seconds=self.configuration.gameball.window_at_most,
            lease_seconds=lease_seconds,
        )

    def read_pace(self) -> ReadRateLimit:
        settings = self.configuration.confirmation
        transactions = settings.transactions_per_second, settings.transactions_per_30_seconds
        return ReadRateLimit(
            {
                ReadKind.CUSTOMERS: (settings.reads_per_second, settings.reads_per_30_seconds),
                ReadKind.TRANSACTIONS: transactions,
                ReadKind.OTHERS: transactions,
            }
        )

    def forwarding_policy(self) -> ForwardingPolicy:
        settings = self.configuration.gameball
        longest = self.account().longest_call_seconds
        retries = settings.policy()
        # A repeat must reach Gameball inside the window. We check that once the connection is open;
        # from there the time-outs of a call bound the time that is left.
        inside = max(0.0, retries.window_at_least_seconds - longest)
        return ForwardingPolicy(
            pace=RateLimit(settings.per_second, settings.per_30_seconds, settings.probe_every),
            retries=replace(retries, window_at_least_seconds=inside),
            lease_seconds=longest + _LEASE_MARGIN_SECONDS,
            first_look_seconds=self.configuration.confirmation.delays[0],
        )

    def kept_seconds(self) -> dict[Kept, float]:
        """Return how long each kind of data is kept."""
        return {kind: getattr(self.configuration.retention, kind) for kind in Kept}


def build_service(environment: Environment, now: Callable[[], datetime] = utc_now) -> Service:
    """Build the service. Raises `ConfigurationError` with every mistake."""
    configuration = load_configuration(environment.config_path)
    return Service(
        environment=environment,
        configuration=configuration,
        database=build_database(environment),
        secret_keys=secret_keys(environment),
        now=now,
    )


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
