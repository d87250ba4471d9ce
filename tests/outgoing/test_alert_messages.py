"""Does a receiver read what was meant, and can it tell that it was us?"""

import json
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Self

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from app.outgoing.alert_messages import AlertText, message_for
from app.settings.receivers import Receiver, ReceiverKind

SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
OTHER = "whsec_MTEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
WEBHOOK = Receiver(
    name="on-call", url=SecretStr("https://alerts.example/"), secret=SecretStr(SECRET)
)
SLACK = Receiver(name="chat", kind=ReceiverKind.SLACK, url=SecretStr("https://hooks.example/T0/B0"))
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TOLD = AlertText(
    id="id-1",
    what="raised",
    kind="source_silent",
    subject="x",
    text="it is <silent> & ü",
    raised_at=NOW,
    cleared_at=None,
)


class _At(datetime):
    """What the library takes for the time: it believes only what was signed just now."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls.fromtimestamp(NOW.timestamp(), tz)


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("standardwebhooks.webhooks.datetime", _At)


def test_a_webhook_is_signed_so_that_the_specifications_own_library_believes_it() -> None:
    message = message_for(WEBHOOK, TOLD, NOW)

    said = Webhook(SECRET).verify(message.body, dict(message.headers))

    assert said["type"] == "alert.raised"
    assert said["data"]["kind"] == "source_silent"
    assert said["data"]["subject"] == "x"
    assert said["data"]["text"] == "it is <silent> & ü"
    assert said["data"]["clearedAt"] is None
    assert message.headers["webhook-id"] == "id-1"


def test_another_secret_does_not_believe_it() -> None:
    message = message_for(WEBHOOK, TOLD, NOW)

    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(message.body, dict(message.headers))


def test_a_body_that_was_changed_is_not_believed() -> None:
    message = message_for(WEBHOOK, TOLD, NOW)

    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(message.body + b" ", dict(message.headers))


def test_the_same_notice_again_has_the_same_id_and_a_new_time() -> None:
    first = message_for(WEBHOOK, TOLD, NOW)
    again = message_for(WEBHOOK, TOLD, NOW + timedelta(seconds=60))

    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert first.headers["webhook-timestamp"] != again.headers["webhook-timestamp"]


def test_slack_reads_one_line_in_which_nothing_is_markup() -> None:
    message = message_for(SLACK, TOLD, NOW)

    assert json.loads(message.body) == {
        "text": "Vouch, ALERT: source_silent (x): it is &lt;silent&gt; &amp; ü"
    }
    assert set(message.headers) == {"Content-Type"}


def test_slack_reads_that_it_is_over() -> None:
    over = AlertText(
        id="id-2",
        what="cleared",
        kind="backlog",
        subject="",
        text="it was late",
        raised_at=NOW,
        cleared_at=NOW,
    )

    assert json.loads(message_for(SLACK, over, NOW).body)["text"] == (
        "Vouch, over: backlog: it was late"
    )


@pytest.mark.parametrize("receiver", [WEBHOOK, SLACK])
def test_neither_secret_nor_address_is_in_what_is_sent_or_shown(receiver: Receiver) -> None:
    message = message_for(receiver, TOLD, NOW)

    for text in (message.body.decode(), str(message.headers), repr(receiver), str(receiver)):
        assert SECRET not in text
        assert "example/" not in text
