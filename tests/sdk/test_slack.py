"""Slack's slack_sdk and Bolt: the signature, who acted, and where."""

import pytest

from tests.platforms.callbacks import NOW, adapter_of, only_event
from tests.sdk.examples import names, sdk, sent

SECRET = "example-signing-secret-new"


@pytest.mark.parametrize("name", names("slack"))
def test_bolt_reads_the_example_as_we_do(name: str) -> None:
    signature, bolt = sdk("slack_sdk.signature"), sdk("slack_bolt.request.internals")
    callback = sent("slack", name)
    event = only_event(adapter_of("slack").read(callback))

    verifier = signature.SignatureVerifier(SECRET, clock=_Now())
    told = bolt.parse_body(callback.body.decode(), callback.header("Content-Type"))

    assert verifier.is_valid_request(callback.body, dict(callback.headers))
    user, team = bolt.extract_actor_user_id(told), bolt.extract_actor_team_id(told)
    assert user == event.actor
    assert event.aliases == (f"{team}:{user}",)


class _Now:
    """The clock that Slack's verifier asks."""

    def now(self) -> float:
        return NOW.timestamp()
