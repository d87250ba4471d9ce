"""Builds a worker from a service."""

from dataclasses import dataclass
from typing import Protocol

from app.gameball.client import GameballClient
from app.service import Service, worker_name
from app.worker.alerter import Alerter
from app.worker.campaign_names import CampaignNames
from app.worker.chores import Chores
from app.worker.confirmer import Confirmer
from app.worker.dispatcher import Dispatcher
from app.worker.forwarder import Forwarder
from app.worker.paced_reader import Reader
from app.worker.precheck import EligibilityCheck
from app.worker.renewals import Renewals

# The share of the read rate limit for confirmations. The rest is for reads before submissions.
_SHARE = 0.8


class Part(Protocol):
    """A background job with its own threads."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Worker:
    """All background jobs of one process."""

    parts: tuple[Part, ...]

    def start(self) -> None:
        for part in self.parts:
            part.start()

    def stop(self) -> None:
        """Start nothing more. Wait until calls in flight are answered and recorded."""
        for part in reversed(self.parts):
            part.stop()


def build_worker(service: Service) -> Worker:
    """Build the worker of a service. Callbacks that the service receives wake it."""
    return Worker(
        (
            build_dispatcher(service),
            build_confirmer(service),
            build_renewals(service),
            *build_chores(service).parts,
        )
    )


def build_chores(service: Service) -> Worker:
    """Build the background jobs that need no Gameball credentials."""
    return Worker((Chores(service), build_alerter(service)))


def build_alerter(service: Service) -> Alerter:
    configuration = service.configuration
    return Alerter(
        service.database,
        configuration.receivers,
        configuration.alerts.limits(),
        configuration.expected,
        service.now,
    )


def build_dispatcher(service: Service) -> Dispatcher:
    client = service.gameball_client()
    forwarder = Forwarder(
        database=service.database,
        client=client,
        policy=service.forwarding_policy(),
        worker=worker_name(),
        now=service.now,
        create_missing_customers=service.configuration.gameball.create_missing_customers,
        asker=_asker(service),
        read_pace=service.read_pace(),
        names=CampaignNames(client=client),
    )
    settings = service.configuration.worker
    dispatcher = Dispatcher(
        forwarder, threads=settings.threads, poll_seconds=settings.poll_every, now=service.now
    )
    service.wake_worker = dispatcher.wake
    service.is_worker_alive = dispatcher.is_alive
    return dispatcher


def build_renewals(service: Service) -> Renewals:
    return Renewals(service.database, service.configuration.sources, service.now)


def build_confirmer(service: Service) -> Confirmer:
    client = service.gameball_client()
    reader = _reader(service, client, _SHARE)
    configuration = service.configuration
    confirmer = Confirmer(
        reader,
        client,
        service.confirmation_policy(),
        threads=configuration.confirmation.threads,
        poll_seconds=configuration.worker.poll_every,
        listens=any(one.reports_rewards for one in configuration.sources.values()),
    )
    service.wake_confirmer = confirmer.wake
    return confirmer


def _asker(service: Service) -> EligibilityCheck:
    settings = service.configuration.confirmation
    client = service.impatient_client()
    return EligibilityCheck(
        database=service.database,
        client=client,
        reader=_reader(service, client),
        now=service.now,
        read_before=settings.read_before,
        refuses=settings.refuse_ineligible,
    )


def _reader(service: Service, client: GameballClient, share: float = 1.0) -> Reader:
    return Reader(
        database=service.database,
        pace=service.read_pace().share(share),
        now=service.now,
        seconds_each=client.account.longest_call_seconds,
        blocked_seconds=service.configuration.gameball.probe_every,
    )
