"""viberbot: the signature, and its models of callbacks."""

import pytest

from tests.platforms.callbacks import adapter_of, only_event
from tests.sdk.examples import body, names, sdk, sent


@pytest.mark.parametrize("name", names("viber"))
def test_viberbot_reads_the_example_as_we_do(name: str) -> None:
    callback = sent("viber", name)
    bot = sdk("viberbot").Api(
        sdk("viberbot.api.bot_configuration").BotConfiguration(
            name="Brand", avatar="", auth_token="example-auth-token-new"
        )
    )

    is_believed = bot.verify_signature(callback.body, callback.header("X-Viber-Content-Signature"))
    read = bot.parse_request(callback.body)

    event = only_event(adapter_of("viber").read(callback))
    who = getattr(read, "sender", None) or getattr(read, "user", None)
    assert is_believed
    assert (who.id if who else read.user_id) == event.actor
    assert read.timestamp == body("viber", name)["timestamp"]
