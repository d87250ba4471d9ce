"""line-bot-sdk: its models of events, and its signature."""

import pytest

from tests.platforms.callbacks import adapter_of, only_event
from tests.sdk.examples import body, names, sdk, sent

# LINE's own ids: only those of memberships are numbers.
ACTOR, TARGET = "U4af4980629a1c7d2e5f0b3a6c9d8e7f1", "U8e742f61d673b39c7fff3cecb7536ef0"
MEMBERSHIPS = ("subscribe", "renew", "unsubscribe")


def words(name: str) -> dict[str, str]:
    return {"actor": ACTOR, "target": "3189" if name in MEMBERSHIPS else TARGET}


@pytest.mark.parametrize("name", names("line"))
def test_the_example_fits_the_model_and_loses_nothing(name: str) -> None:
    told = body("line", name, **words(name))

    read = sdk("linebot.v3.webhooks").CallbackRequest.from_dict(told)

    assert read.to_dict() == told


@pytest.mark.parametrize("name", names("line"))
def test_the_parser_believes_the_example_and_names_the_same_person(name: str) -> None:
    callback = sent("line", name, **words(name))

    parser = sdk("linebot.v3.webhook").WebhookParser("example-channel-secret-new")
    [read] = parser.parse(callback.body.decode(), callback.header("X-Line-Signature"))

    event = only_event(adapter_of("line").read(callback))
    members = getattr(read, "joined", None) or getattr(read, "left", None)
    who = members.members[0] if members else read.source
    assert who.user_id == event.actor
