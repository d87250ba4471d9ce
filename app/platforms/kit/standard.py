"""The signature scheme of the Standard Webhooks specification, for receiving and sending."""

from app.platforms.kit.places import Body, Header, SignedTime
from app.platforms.kit.schemes import HmacScheme

ID, TIMESTAMP = "webhook-id", "webhook-timestamp"


# https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
def scheme_of(prefix: str) -> HmacScheme:
    """Return the scheme for headers with this prefix."""
    signed_at = Header(f"{prefix}-timestamp")
    return HmacScheme(
        proof=Header(f"{prefix}-signature"),
        signed=(Header(f"{prefix}-id"), b".", signed_at, b".", Body()),
        prefix="v1,",
        time=SignedTime(signed_at, "unix"),
        encoding="base64",
    )


V1 = scheme_of("webhook")
# Svix, whose format became the specification, uses its own header names.
# https://docs.svix.com/receiving/verifying-payloads/how-manual
SVIX = scheme_of("svix")
