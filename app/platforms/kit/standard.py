"""How does the Standard Webhooks specification sign? We are told by it, and tell by it."""

from app.platforms.kit.places import Body, Header, SignedTime
from app.platforms.kit.schemes import HmacScheme

ID, TIMESTAMP = "webhook-id", "webhook-timestamp"
# https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
V1 = HmacScheme(
    Header("webhook-signature"),
    (Header(ID), b".", Header(TIMESTAMP), b".", Body()),
    "v1,",
    SignedTime(Header(TIMESTAMP), "unix"),
    encoding="base64",
)
