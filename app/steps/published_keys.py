"""What does a platform publish at this address, without asking it at every callback?"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import requests
import structlog

from app.platforms.kit.callback import KeysUnavailable

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS = (2.0, 2.0)
LONGEST_ANSWER = 65_536
# What strangers send must not make us ask the platform at every forgery.
ANEW_AT_MOST_EVERY_SECONDS = 60.0
TRUSTED_FOR_SECONDS = 86_400.0


@dataclass(slots=True)
class _Kept:
    answer: bytes | None = None
    asked_at: float = float("-inf")
    answered_at: float = float("-inf")


@dataclass(slots=True)
class PublishedKeys:
    """Answers of addresses, kept in memory; a `Fetcher` for adapters.

    What was had once stays good while the platform does not answer.
    """

    monotonic: Callable[[], float] = time.monotonic
    _kept: dict[str, _Kept] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, url: str, *, anew: bool = False) -> bytes:
        with self._lock:
            kept = self._kept.setdefault(url, _Kept())
            now = self.monotonic()
            is_wanted = anew or now - kept.answered_at > TRUSTED_FOR_SECONDS
            is_allowed = kept.answer is None or now - kept.asked_at > ANEW_AT_MOST_EVERY_SECONDS
            if is_wanted and is_allowed:
                self._ask(url, kept, now)
            if kept.answer is None:
                raise KeysUnavailable(f"{url} did not answer")
            return kept.answer

    def _ask(self, url: str, kept: _Kept, now: float) -> None:
        kept.asked_at = now
        try:
            kept.answer = _get(url)
        except (requests.RequestException, ValueError) as error:
            log.error("keys.not_fetched", url=url, error=type(error).__name__)
            return
        kept.answered_at = now
        log.info("keys.fetched", url=url)


def _get(url: str) -> bytes:
    """Raises `requests.RequestException`, and `ValueError` for an answer that is none."""
    response = requests.get(url, timeout=TIMEOUT_SECONDS, allow_redirects=False, stream=True)
    with response:
        if response.status_code != 200:
            raise ValueError(f"answered {response.status_code}")
        answer: bytes = response.raw.read(LONGEST_ANSWER + 1, decode_content=True)
    if len(answer) > LONGEST_ANSWER:
        raise ValueError("the answer is too long")
    return answer
