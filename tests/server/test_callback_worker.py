"""Does a connection on which a callback came stay for another, and is that what is told?"""

import socket
from types import SimpleNamespace
from typing import cast

import pytest

from app.server.callback_worker import CallbackWorker
from app.server.fast_path import FastCallback
from app.server.slow_clients import Connection
from app.server.wire import Wire
from app.service import Service
from tests.conftest import MakeService
from tests.web.sources import with_every_platform

REQUEST = b"POST /webhooks/twitch HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def service(make_service: MakeService) -> Service:
    return with_every_platform(make_service)


def worker(service: Service, **changes: object) -> CallbackWorker:
    usual: dict[str, object] = {
        "app": SimpleNamespace(service=service),
        "alive": True,
        "nr": 0,
        "max_requests": 1_000,
        "keepalived_conns": [],
        "max_keepalived": 10,
        "_keepalive": 30,
    }
    made = object.__new__(CallbackWorker)
    for name, value in {**usual, **changes}.items():
        setattr(made, name, value)
    return made


def ask(serving: CallbackWorker, request: bytes = REQUEST) -> tuple[bool, bytes]:
    """Whether the connection stays, and the answer."""
    plain = FastCallback.read(request, serving.app.service.configuration)
    assert plain is not None
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stays = serving._answer(cast(Connection, SimpleNamespace(sock=Wire(ours))), plain)
        ours.shutdown(socket.SHUT_WR)
        return stays, theirs.makefile("rb").read()


def test_a_connection_stays_for_another_callback(service: Service) -> None:
    stays, answer = ask(worker(service))

    assert stays
    assert b"\r\nConnection: keep-alive\r\n" in answer


@pytest.mark.parametrize(
    "changes",
    [{"alive": False}, {"_keepalive": 0}, {"max_keepalived": 0}],
    ids=str,
)
def test_a_worker_that_stops_or_is_full_closes_it(
    service: Service, changes: dict[str, object]
) -> None:
    stays, answer = ask(worker(service, **changes))

    assert not stays
    assert b"\r\nConnection: close\r\n" in answer


def test_a_client_that_wants_it_closed_is_heard(service: Service) -> None:
    stays, answer = ask(worker(service), REQUEST.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))

    assert not stays
    assert b"\r\nConnection: close\r\n" in answer


def test_the_operators_most_requests_are_counted(service: Service) -> None:
    serving = worker(service, max_requests=2)

    assert [ask(serving)[0] for _ in range(2)] == [True, False]
    assert not serving.alive
