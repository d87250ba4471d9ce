"""stravalib: its model of a push."""

import pytest

from tests.platforms.callbacks import adapter_of, only_event
from tests.sdk.examples import body, names, sdk, sent


@pytest.mark.parametrize("name", names("strava"))
def test_the_example_fits_the_model_and_is_read_alike(name: str) -> None:
    model = sdk("stravalib.model").SubscriptionUpdate

    told = body("strava", name)
    read = model.model_validate(told)

    # The model would take digits in a text as well; Strava sends numbers.
    assert isinstance(told["owner_id"], int)
    assert isinstance(told["object_id"], int)
    event = only_event(adapter_of("strava").read(sent("strava", name)))
    assert str(read.owner_id) == event.actor
    assert set(told) == set(model.model_fields)
