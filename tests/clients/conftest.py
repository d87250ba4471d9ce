"""A service that runs with the demo's configuration, for clients made from its document."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

import pytest
import requests

from app.cli.callbacks import post, signed_callback
from app.cli.clients import new_client
from app.cli.database import open_database
from app.cli.demo.installation import Installation, Offer, install
from app.cli.demo.process import ServiceProcess
from app.domain.clock import new_id, utc_now
from app.sandbox.server import SandboxServer
from app.sandbox.settings import Campaign
from app.settings.environment import read_environment
from app.steps import keys
from app.steps.keys import Role

# Gameball accepts what this customer did, and never grants it.
UNLUCKY = "customer-unlucky"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Where the service runs, a key of each role, and what a platform would send to it."""

    url: str
    keys: Mapping[Role, str] = field(repr=False)
    claimed_challenge_id: int
    offer: Offer

    def document(self) -> str:
        return requests.get(f"{self.url}/openapi.json", timeout=10).text

    def follow(self, actor: str) -> None:
        """Send a correctly signed callback of the offer's platform; it must be taken."""
        now = utc_now()
        signed = signed_callback(
            self.offer.adapter,
            self.offer.template,
            actor=actor,
            target="our-page",
            key=new_id(now),
            now=now,
        )
        with closing(new_client(self.url)) as client:
            answered = post(client, f"{self.url}/webhooks/{self.offer.source}", signed)
        assert answered.is_accepted, answered


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("service")
    with SandboxServer() as sandbox:
        settings = sandbox.books.settings
        installation = install(
            folder,
            {
                "GAMEBALL_BASE_URL": sandbox.url,
                "GAMEBALL_API_KEY": settings.api_key,
                "GAMEBALL_SECRET_KEY": settings.secret_key,
            },
        )
        sandbox.books.configure(
            campaigns=(_campaign(installation),), grant_delay_seconds=0.1, dedup_window_seconds=1.0
        )
        made = _keys(installation)
        with ServiceProcess(installation.variables, folder) as service:
            yield Running(
                url=service.url,
                keys=made,
                claimed_challenge_id=installation.claimed.challenge_id,
                offer=installation.offers[0],
            )


def _campaign(installation: Installation) -> Campaign:
    claimed = installation.claimed.challenge_id
    return Campaign(id=claimed, name="Follow us", points=50, out_of_reach=frozenset({UNLUCKY}))


def _keys(installation: Installation) -> dict[Role, str]:
    now = utc_now()
    with open_database(read_environment(installation.variables)) as database:
        return {
            role: database.write(partial(keys.create, role=role, name=str(role), now=now))[1]
            for role in Role
        }
