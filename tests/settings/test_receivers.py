"""Can only a receiver be named that may be called?"""

import pytest

from app.settings.configuration import load_configuration
from app.settings.errors import ConfigurationError
from app.settings.receivers import ReceiverKind, is_loopback
from tests.conftest import WriteConfig

SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
WEBHOOK = '[[receivers]]\nname = "on-call"\nurl = "env:URL"\nsecret = "env:SECRET"\n'
SLACK = '[[receivers]]\nname = "chat"\nkind = "slack"\nurl = "env:URL"\n'
URL = "https://alerts.example/a-part-that-is-secret"


def mistakes(write_config: WriteConfig, text: str, url: str = URL, secret: str = SECRET) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(write_config(text), {"URL": url, "SECRET": secret})
    for private in ("a-part-that-is-secret", secret):
        assert private not in str(caught.value)
    return str(caught.value)


def test_nobody_is_woken_by_default(write_config: WriteConfig) -> None:
    assert load_configuration(write_config(""), {}).receivers == ()


def test_webhooks_and_slack_are_read(write_config: WriteConfig) -> None:
    path = write_config(WEBHOOK + SLACK)

    webhook, slack = load_configuration(path, {"URL": URL, "SECRET": SECRET}).receivers

    assert (webhook.name, webhook.kind) == ("on-call", ReceiverKind.WEBHOOK)
    assert webhook.url.get_secret_value() == URL
    assert webhook.secret is not None
    assert webhook.secret.get_secret_value() == SECRET
    assert (slack.name, slack.kind, slack.secret) == ("chat", ReceiverKind.SLACK, None)


@pytest.mark.parametrize(
    "url",
    [
        "http://alerts.example/a-part-that-is-secret",
        "http://10.0.0.7/a-part-that-is-secret",
        "http://127.0.0.1.example/a-part-that-is-secret",
        "ftp://alerts.example/a-part-that-is-secret",
        "file:///a-part-that-is-secret",
        "alerts.example/a-part-that-is-secret",
        "https:///a-part-that-is-secret",
        "https://user:a-part-that-is-secret@alerts.example/",
        "https://user@alerts.example/a-part-that-is-secret",
        "https://alerts.example:99999/a-part-that-is-secret",
        "https://[junk/a-part-that-is-secret",
    ],
)
def test_an_address_that_may_not_be_called_is_refused(write_config: WriteConfig, url: str) -> None:
    assert "receivers[0].url" in mistakes(write_config, SLACK, url)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "[::1]"])
def test_http_is_for_this_machine(write_config: WriteConfig, host: str) -> None:
    url = f"http://{host}:8080/x"

    [receiver] = load_configuration(write_config(SLACK), {"URL": url}).receivers

    assert receiver.url.get_secret_value() == url


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [("localhost", True), ("127.1.2.3", True), ("::1", True), ("0.0.0.0", False),
     ("10.0.0.1", False), ("localhost.example", False), ("", False)],
)  # fmt: skip
def test_only_loopback_is_this_machine(host: str, is_ours: bool) -> None:
    assert is_loopback(host) is is_ours


@pytest.mark.parametrize("secret", ["short", "whsec_c2hvcnQ=", "whsec_%%%", "whsec_" + "A" * 100])
def test_a_secret_that_signs_weakly_or_not_at_all_is_refused(
    write_config: WriteConfig, secret: str
) -> None:
    assert "receivers[0].secret" in mistakes(write_config, WEBHOOK, secret=secret)


def test_a_secret_in_the_file_itself_is_refused(write_config: WriteConfig) -> None:
    text = WEBHOOK.replace("env:SECRET", SECRET).replace("env:URL", URL)

    told = mistakes(write_config, text)

    assert "receivers[0].url" in told
    assert "receivers[0].secret" in told


@pytest.mark.parametrize(
    "text", [SLACK + 'secret = "env:SECRET"\n', WEBHOOK.replace('secret = "env:SECRET"\n', "")]
)
def test_a_webhook_needs_a_secret_and_slack_has_none(write_config: WriteConfig, text: str) -> None:
    assert "a webhook needs a secret, and Slack must not have one" in mistakes(write_config, text)


def test_two_receivers_have_two_names(write_config: WriteConfig) -> None:
    assert "two receivers have the same name" in mistakes(write_config, SLACK + SLACK)
