"""Does a reload of the configuration hang on nothing, and do settings mean what they say?"""

import json

import pytest

from app.service import Service
from app.storage.errors import StorageUnavailable
from app.storage.tables import AuditRow
from tests.conftest import MakeService, WriteConfig

TEXT = '[[sources]]\nname = "twitch"\nplatform = "twitch"\nsecrets = ["env:TWITCH_SECRET"]\n'


@pytest.fixture
def service(make_service: MakeService, database_url: str) -> Service:
    return make_service(
        TEXT, TWITCH_SECRET="a-secret-of-ours", VOUCH_SECRET_KEYS="a-key-that-signs-claims"
    )


def audited(service: Service) -> list[tuple[str, list[str]]]:
    with service.database.read() as connection:
        rows = connection.execute(AuditRow.__table__.select()).all()
    assert all(row.change == "configuration.loaded" for row in rows)
    assert all(row.subject.endswith("vouch.toml") for row in rows)
    return [(row.caused_by, json.loads(row.details)["changes"]) for row in rows]


def test_a_reload_is_audited_with_what_changed(service: Service, write_config: WriteConfig) -> None:
    write_config(TEXT + "[gameball]\nper_second = 20\n")

    assert service.reload()

    [(by, changes)] = audited(service)
    assert by.startswith("signal:")
    assert changes == ["gameball.per_second: 30 -> 20"]


def test_a_file_with_a_mistake_changes_nothing_and_is_not_audited(
    service: Service, write_config: WriteConfig
) -> None:
    before = service.configuration
    write_config("nonsense")

    assert not service.reload()
    assert service.configuration is before
    assert audited(service) == []


def test_a_reload_does_not_wait_for_a_database_that_is_away(
    service: Service, write_config: WriteConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StorageUnavailable("away")

    monkeypatch.setattr("app.service.record", away)
    write_config(TEXT + "[gameball]\nper_second = 20\n")

    assert service.reload()
    assert service.configuration.gameball.per_second == 20


@pytest.mark.parametrize(
    ("window", "inside"),
    [("30s", 18.0), ("12s", 0.0), ("1s", 0.0)],
)
def test_a_repeat_is_sent_without_a_look_only_if_its_call_ends_inside_the_window(
    make_service: MakeService, window: str, inside: float
) -> None:
    gameball = f'[gameball]\nconnect_timeout = 2\nread_timeout = 10\nwindow_at_least = "{window}"\n'
    service = make_service(
        TEXT + gameball, TWITCH_SECRET="a-secret-of-ours", VOUCH_SECRET_KEYS="a-key-for-claims"
    )

    policy = service.forwarding_policy()

    assert policy.retries.window_at_least_seconds == inside
