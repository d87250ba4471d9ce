"""Gameball's campaigns are read, or it is said why not."""

from collections.abc import Callable, Iterator

import pytest

from app.gameball.campaigns import Campaign, Unreadable, list_campaigns
from app.gameball.client import GameballAccount, GameballClient, NoAnswer, NotSent, Reply
from app.sandbox import settings as sandbox_settings
from app.sandbox.server import SandboxServer
from app.sandbox.settings import SandboxSettings


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    campaigns = (
        sandbox_settings.Campaign(id=7, name="Follow us", max_achievement=1),
        sandbox_settings.Campaign(id=8, name="Buy something", type="EventBased"),
    )
    with SandboxServer(SandboxSettings(campaigns=campaigns)) as server:
        yield server


@pytest.fixture
def client_for() -> Iterator[Callable[[str, str], GameballClient]]:
    clients: list[GameballClient] = []

    def make(url: str, api_key: str) -> GameballClient:
        clients.append(
            GameballClient(
                GameballAccount(
                    base_url=url,
                    api_version="v4.1",
                    api_key=api_key,
                    secret_key="sandbox-secret-key",
                )
            )
        )
        return clients[-1]

    yield make
    for client in clients:
        client.close()


class Scripted(GameballClient):
    """A client whose one answer is given."""

    def __init__(self, answer: Reply | Exception) -> None:
        super().__init__(
            GameballAccount(
                base_url="http://127.0.0.1:9", api_version="v4.1", api_key="k", secret_key="s"
            )
        )
        self._answer = answer

    def call(self, *_args: object, **_kwargs: object) -> Reply:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def test_campaigns_are_read_with_what_matters_about_them(
    sandbox: SandboxServer, client_for: Callable[[str, str], GameballClient]
) -> None:
    campaigns = list_campaigns(client_for(sandbox.url, "sandbox-api-key"))

    assert campaigns == {
        7: Campaign(id=7, name="Follow us", type="SocialMedia", most=1, points=50),
        8: Campaign(id=8, name="Buy something", type="EventBased", most=-1, points=50),
    }
    assert campaigns[7].is_social
    assert not campaigns[8].is_social


def test_refused_credentials_are_told_with_gameballs_own_words(
    sandbox: SandboxServer, client_for: Callable[[str, str], GameballClient]
) -> None:
    with pytest.raises(Unreadable, match="Unauthorized") as told:
        list_campaigns(client_for(sandbox.url, "wrong"))

    assert (told.value.status, told.value.code) == (401, 1000)


@pytest.mark.parametrize("failure", [NotSent("no connection"), NoAnswer("no whole answer")])
def test_no_answer_has_no_status(failure: Exception) -> None:
    with pytest.raises(Unreadable, match=str(failure)) as told:
        list_campaigns(Scripted(failure))

    assert told.value.status is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[" * 100_000, b"\xff"])
def test_what_is_no_list_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable, match="not a list"):
        list_campaigns(Scripted(Reply(200, body)))


def test_a_strange_item_costs_no_other() -> None:
    body = b'[null, 3, {}, {"id": "x"}, {"id": 9, "isActive": false, "maxAchievement": "1"}]'

    campaigns = list_campaigns(Scripted(Reply(200, body)))

    assert campaigns == {9: Campaign(id=9, name="", type="", is_active=False, most=1)}
