"""How does the Standard Webhooks specification sign? We are told by it, and tell by it."""

from app.platforms.kit.places import Body, Header, SignedTime
from app.platforms.kit.schemes import HmacScheme

ID, TIMESTAMP = "webhook-id", "webhook-timestamp"


# https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
def scheme_of(prefix: str) -> HmacScheme:
    """The same scheme in the headers of one prefix."""
    signed_at = Header(f"{prefix}-timestamp")
    return HmacScheme(
        Header(f"{prefix}-signature"),
        (Header(f"{prefix}-id"), b".", signed_at, b".", Body()),
        "v1,",
        SignedTime(signed_at, "unix"),
        encoding="base64",
    )


V1 = scheme_of("webhook")
# Svix, whose format became the specification, sends its own names of the headers.
# https://docs.svix.com/receiving/verifying-payloads/how-manual
SVIX = scheme_of("svix")
