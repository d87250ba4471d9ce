"""Whom do we believe where a platform publishes the key that it signs with?"""

from collections.abc import Callable
from typing import Protocol

from app.platforms.kit.callback import Callback, Forged, KeysUnavailable
from app.platforms.kit.schemes import Scheme


class Fetcher(Protocol):
    """What an address answers, from memory where it was asked before."""

    def __call__(self, url: str, *, anew: bool = False) -> bytes:
        """``anew``: what memory holds did not do. Raises `KeysUnavailable`."""


def no_fetcher(url: str, *, anew: bool = False) -> bytes:  # noqa: ARG001 -- as a Fetcher
    raise KeysUnavailable(f"nothing here fetches {url}: pin the key as a secret of the source")


def verify_by_published(
    scheme: Scheme,
    callback: Callback,
    tolerance_seconds: float,
    keys: Callable[[bool], tuple[bytes, ...]],
) -> None:
    """Raise `Forged` unless a published key signed this.

    ``keys`` takes whether to ask the platform anew: it may have changed its key since we asked.
    """
    known = keys(False)
    try:
        scheme.verify(callback, known, tolerance_seconds)
    except Forged:
        newer = keys(True)
        if newer == known:
            raise
        scheme.verify(callback, newer, tolerance_seconds)
