"""wechatpy: its envelope, its signature, and its models of messages and events."""

import pytest

from tests.platforms.callbacks import adapter_of
from tests.sdk.examples import names, sdk, sent

TOKEN, APP_ID = "example-token-new", "wx5823bf96d3bd56c7"
AES_KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"


@pytest.mark.parametrize("name", names("wechat"))
def test_wechatpy_opens_and_reads_the_example_as_we_do(name: str) -> None:
    callback = sent("wechat", name)
    query = callback.query

    sealed = sdk("wechatpy.crypto").WeChatCrypto(TOKEN, AES_KEY, APP_ID)
    xml = sealed.decrypt_message(
        callback.body, query["msg_signature"], query["timestamp"], query["nonce"]
    )
    read = sdk("wechatpy").parse_message(xml)

    first = adapter_of("wechat").read(callback).events[0]
    assert type(read).__name__ != "UnknownMessage"
    assert (read.source, read.create_time.timestamp()) == (
        first.actor,
        first.occurred_at.timestamp(),
    )
    if first.action in ("follow", "message"):
        assert read.target == first.target
