"""twitchAPI: its EventSub models."""

import pytest

from tests.platforms.callbacks import adapter_of, only_event
from tests.sdk.examples import body, sdk, sent

MODELS = {"follow": "ChannelFollow", "subscribe": "ChannelSubscribe", "cheer": "ChannelCheer"}


@pytest.mark.parametrize("name", MODELS)
def test_the_example_fits_the_model_and_is_read_alike(name: str) -> None:
    model = getattr(sdk("twitchAPI.object.eventsub"), f"{MODELS[name]}Data")
    told = body("twitch", name)["event"]

    read = model(**told)

    event = only_event(adapter_of("twitch").read(sent("twitch", name)))
    assert (read.user_id, read.user_login) == (event.actor, event.actor_handle)
    assert read.broadcaster_user_id == event.target
    assert set(told) == set(model.__annotations__)
