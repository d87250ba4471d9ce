"""How is a worker built from a service?"""

from app.service import Service, worker_name
from app.worker.dispatcher import Dispatcher
from app.worker.forwarder import Forwarder
from app.worker.renewals import Renewals


def build_dispatcher(service: Service) -> Dispatcher:
    """A dispatcher over the service's database, and woken by what the service receives."""
    forwarder = Forwarder(
        service.database,
        service.gameball_client(),
        service.forwarding_policy(),
        worker_name(),
        service.now,
        service.configuration.gameball.create_missing_customers,
    )
    settings = service.configuration.worker
    dispatcher = Dispatcher(
        forwarder, threads=settings.threads, poll_seconds=settings.poll_every, now=service.now
    )
    service.wake_worker = dispatcher.wake
    return dispatcher


def build_renewals(service: Service) -> Renewals:
    return Renewals(service.database, service.configuration.sources, service.now)
