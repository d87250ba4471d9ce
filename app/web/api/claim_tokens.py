"""Claim tokens, with which a shop's backend allows a claim: signed and timed, not encrypted."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer
from pydantic import Field, ValidationError

from app.domain.clock import new_id
from app.schemas.fields import (
    ChallengeId,
    CustomerId,
    Email,
    Mobile,
    Schema,
)
from app.web.auth import WWW_AUTHENTICATE
from app.web.problems import Problem

log = structlog.get_logger(__name__)

_SALT = b"vouch.claim.v1"
_READABLE_FOR = timedelta(days=7)
# The only characters in our tokens. Base64 decoders silently skip all others.
_WRITTEN = re.compile(r"[A-Za-z0-9_.-]{1,4096}")


class TokenPayload(Schema):
    """What a claim token says. Its holder can read it."""

    jti: UUID
    customer_id: CustomerId
    challenge_id: ChallengeId
    email: Email | None = None
    mobile: Mobile | None = None
    ttl: int = Field(ge=1, description="Seconds, from the signed time on.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimToken:
    """A token that we signed. It allows one claim of one customer before ``expires_at``."""

    id: str
    customer_id: str
    challenge_id: int
    email: str | None
    mobile: str | None
    issued_at: datetime
    expires_at: datetime

    @property
    def readable_until(self) -> datetime:
        """Until when the token can read its claim, and can repeat it after a lost answer."""
        return max(self.expires_at, self.issued_at + _READABLE_FOR)


def mint(
    keys: Sequence[str],
    *,
    customer_id: str,
    challenge_id: int,
    ttl_seconds: int,
    now: datetime,
    email: str | None = None,
    mobile: str | None = None,
) -> tuple[str, datetime]:
    """Sign a token with the first of ``keys``. Returns it with its expiry time."""
    payload = TokenPayload(
        jti=UUID(new_id(now)),
        customer_id=customer_id,
        challenge_id=challenge_id,
        email=email,
        mobile=mobile,
        ttl=ttl_seconds,
    )
    said = payload.model_dump(mode="json", by_alias=True, exclude_none=True)
    expires_at = now.replace(microsecond=0) + timedelta(seconds=ttl_seconds)
    return str(_serializer(keys, now).dumps(said)), expires_at


def believe(keys: Sequence[str], token: str, now: datetime) -> ClaimToken:
    """Verify a token and return its contents, also if it has expired but is still readable.

    Raises the `Problem` token-invalid, or token-expired if it is no longer readable.
    """
    if not _WRITTEN.fullmatch(token):
        raise _invalid("not written as a token is")
    try:
        said, issued_at = _serializer(keys, now).loads(token, return_timestamp=True)
        believed = _token(TokenPayload.model_validate(said), issued_at)
    except (BadData, ValidationError, OverflowError) as error:
        # The error's text may include the token, so log only its type.
        raise _invalid(type(error).__name__) from None
    if believed.readable_until <= now:
        raise expired()
    return believed


def expired() -> Problem:
    return Problem("token-expired", "Ask the shop for a new token.", headers=WWW_AUTHENTICATE)


def _invalid(reason: str) -> Problem:
    log.warning("claim_token.refused", reason=reason)
    detail = "The claim token is missing, altered, or signed by somebody else."
    return Problem("token-invalid", detail, headers=WWW_AUTHENTICATE)


def _token(payload: TokenPayload, issued_at: datetime) -> ClaimToken:
    return ClaimToken(
        id=str(payload.jti),
        customer_id=payload.customer_id,
        challenge_id=payload.challenge_id,
        email=payload.email,
        mobile=payload.mobile,
        issued_at=issued_at,
        expires_at=issued_at + timedelta(seconds=payload.ttl),
    )


class _Signer(TimestampSigner):
    """Signs with a given time instead of the system clock."""

    def __init__(self, *args: Any, signs_at: datetime, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._signs_at = signs_at

    def get_timestamp(self) -> int:
        return int(self._signs_at.timestamp())


def _serializer(keys: Sequence[str], now: datetime) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        # The configuration lists the newest key first; itsdangerous signs with the last.
        list(reversed(keys)),
        salt=_SALT,
        signer=_Signer,
        signer_kwargs={
            "key_derivation": "hmac",
            "digest_method": hashlib.sha256,
            "signs_at": now,
        },
    )
