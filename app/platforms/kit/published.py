"""Verify signatures with the key that a platform publishes."""

from collections.abc import Callable
from typing import Annotated, Protocol

from pydantic import AfterValidator, Field

from app.platforms.kit.callback import Callback, Forged, KeysUnavailable, Malformed
from app.platforms.kit.fields import dig, json_object
from app.platforms.kit.key_pairs import as_rsa, rsa_key
from app.platforms.kit.options import SourceConfig, TokenRef
from app.platforms.kit.schemes import Scheme


class Fetcher(Protocol):
    """Returns the answer of an address, cached where possible."""

    def __call__(self, url: str, *, refresh: bool = False) -> bytes:
        """With ``refresh`` a cached answer is not enough. Raises `KeysUnavailable`."""


def no_fetcher(url: str, *, refresh: bool = False) -> bytes:  # noqa: ARG001 -- as a Fetcher
    raise KeysUnavailable(f"{url} is not fetched here: pin the key as a secret of the source")


class PublishedSource(SourceConfig):
    secrets: tuple[Annotated[TokenRef, AfterValidator(as_rsa)], ...] = Field(
        default=(), description="Pinned public keys in PEM; without any, the key is fetched."
    )
    key_url: str | None = Field(
        default=None,
        pattern=r"^(https://|http://127\.0\.0\.1[:/])",
        description="The address to fetch the key from, instead of the platform's own.",
    )


def published_key(answer: bytes, path: str) -> bytes:
    """Return the key in a JSON answer. Raises `Malformed`."""
    key = dig(json_object(answer), path)
    try:
        rsa_key(key if isinstance(key, str) else "")
    except ValueError as error:
        raise Malformed(str(error)) from None
    return str(key).encode()


def verify_by_published(
    scheme: Scheme,
    callback: Callback,
    tolerance_seconds: float,
    keys: Callable[[bool], tuple[bytes, ...]],
) -> None:
    """Raise `Forged` unless a published key signed this.

    ``keys`` takes whether to refresh them: the platform may have changed its key.
    """
    known = keys(False)
    try:
        scheme.verify(callback, known, tolerance_seconds)
    except Forged:
        newer = keys(True)
        if newer == known:
            raise
        scheme.verify(callback, newer, tolerance_seconds)
