"""standardwebhooks and svix: what we sign they believe, and what they sign we do."""

import json

import pytest

from app.platforms.kit.examples import example_source
from tests.platforms.callbacks import NOW, adapter_of, callback, only_event
from tests.sdk.examples import names, sdk, sent

SECRET = example_source("standard-webhooks")["secrets"][0]
SIGNED_BY = {"standardwebhooks.webhooks": "webhook", "svix.webhooks": "svix"}


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ask the clock how old a signature is."""

    class Clock(sdk("datetime").datetime):  # type: ignore[misc]
        @classmethod
        def now(cls, tz: object = None) -> object:
            return NOW

    monkeypatch.setattr(sdk("standardwebhooks.webhooks"), "datetime", Clock)


@pytest.mark.parametrize("module", SIGNED_BY)
@pytest.mark.parametrize("name", names("standard-webhooks"))
def test_the_sdk_believes_the_example(name: str, module: str) -> None:
    example = sent("standard-webhooks", name)
    headers = {
        key.replace("webhook-", f"{SIGNED_BY[module]}-"): value
        for key, value in example.headers.items()
    }

    sdk(module).Webhook(SECRET).verify(example.body.decode(), headers)


@pytest.mark.parametrize(("module", "prefix"), SIGNED_BY.items())
def test_we_believe_what_the_sdk_signs(module: str, prefix: str) -> None:
    adapter = adapter_of("standard-webhooks")
    body = json.dumps({"type": "follow", "data": {"actor": "42"}})
    signature = sdk(module).Webhook(SECRET).sign("msg_1", NOW, body)

    sent_by_it = callback(
        body.encode(),
        {
            f"{prefix}-id": "msg_1",
            f"{prefix}-timestamp": str(int(NOW.timestamp())),
            f"{prefix}-signature": signature,
        },
    )
    adapter.verify(sent_by_it)

    assert only_event(adapter.read(sent_by_it)).key == "msg_1"
