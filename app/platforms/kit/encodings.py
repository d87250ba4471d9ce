"""Encode, decode and compare bytes that are written as text."""

import base64
import hashlib
import hmac
from collections.abc import Iterable

from app.platforms.kit.fields import MAX_TEXT


def matches_any(claimed: str, expected: Iterable[str]) -> bool:
    """Compare in constant time, as bytes: `compare_digest` raises on a non-ASCII `str`."""
    raw = as_bytes(claimed)
    verdicts = [hmac.compare_digest(raw, as_bytes(candidate)) for candidate in expected]
    return any(verdicts)


def as_bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


def wire(value: str) -> bytes:
    """Return a header's bytes as they were sent: WSGI decodes them as latin-1."""
    return value.encode("latin-1", "backslashreplace")


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def unb64(value: str) -> bytes | None:
    """Decode base64, padded or not; None for anything else."""
    try:
        return base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except ValueError:
        return None


def unhex(value: str) -> bytes | None:
    """Decode hexadecimal digits and nothing else; `bytes.fromhex` would skip white space."""
    if not value.isascii() or not value.isalnum():
        return None
    try:
        return bytes.fromhex(value)
    except ValueError:
        return None


def event_key(*parts: object) -> str:
    """Return a dedup key made of all that identifies an action without an id of its own."""
    key = ":".join("" if part is None else str(part) for part in parts)
    return key if len(key) <= MAX_TEXT else fingerprint(*parts)


def fingerprint(*parts: object) -> str:
    """Return a hash of the values that identify an action."""
    joined = "\x1f".join("" if part is None else str(part) for part in parts)
    return hashlib.sha256(as_bytes(joined)).hexdigest()[:40]
