"""gidgethub: the signature, and the event's name and headers."""

import json

import pytest

from tests.sdk.examples import names, sdk, sent


@pytest.mark.parametrize("name", names("github"))
def test_gidgethub_takes_the_example(name: str) -> None:
    callback = sent("github", name)

    event = sdk("gidgethub.sansio").Event.from_http(
        callback.headers, callback.body, secret="example-webhook-secret-new"
    )

    assert event.data == json.loads(callback.body)
    assert event.event == callback.header("X-GitHub-Event")
    assert event.delivery_id == callback.header("X-GitHub-Delivery")
