"""Keys that platforms publish, kept in memory."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from app.outgoing.http import NoResponse, send
from app.platforms.kit.callback import KeysUnavailable
from app.platforms.kit.requests import Request

log = structlog.get_logger(__name__)

READ_SECONDS = 5.0
LONGEST_ANSWER = 65_536
# A stranger's forgeries must not make us call the platform each time.
REFRESH_AT_MOST_EVERY_SECONDS = 60.0
FIRST_AT_MOST_EVERY_SECONDS = 5.0
TRUSTED_FOR_SECONDS = 86_400.0

Task = Callable[[], None]


def in_background(task: Task) -> None:
    """Run a task in a thread: a request must not wait, as it may share its thread."""
    threading.Thread(target=task, name="published-keys", daemon=True).start()


def fetched_now(url: str, *, refresh: bool = False) -> bytes:  # noqa: ARG001 -- as a Fetcher
    """Fetch for a command, while a person waits. Raises `KeysUnavailable`."""
    try:
        return _get(url)
    except NoResponse as error:
        raise KeysUnavailable(f"{url} has not answered ({error.reason})") from None


@dataclass(slots=True, kw_only=True)
class _Kept:
    answer: bytes | None = None
    asked_at: float = float("-inf")
    answered_at: float = float("-inf")
    is_asking: bool = False


@dataclass(slots=True, kw_only=True)
class PublishedKeys:
    """Answers of addresses, kept in memory; a `Fetcher` for adapters.

    Keys are unavailable during the first fetch, and during a refresh for callers that require it.
    The last answer is used for as long as the platform does not answer.
    """

    begin: Callable[[Task], None] = in_background
    monotonic: Callable[[], float] = time.monotonic
    _kept: dict[str, _Kept] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, url: str, *, refresh: bool = False) -> bytes:
        kept = self._kept.setdefault(url, _Kept())
        if self._claim_fetch(kept, refresh=refresh):
            self.begin(lambda: self._ask(url, kept))
        if kept.answer is None:
            raise KeysUnavailable(f"{url} has not answered")
        if refresh and kept.is_asking:
            raise KeysUnavailable(f"{url} is being fetched again")
        return kept.answer

    def _claim_fetch(self, kept: _Kept, *, refresh: bool) -> bool:
        with self._lock:
            now = self.monotonic()
            is_due = refresh or now - kept.answered_at > TRUSTED_FOR_SECONDS
            pause = REFRESH_AT_MOST_EVERY_SECONDS if kept.answer else FIRST_AT_MOST_EVERY_SECONDS
            if kept.is_asking or not is_due or now - kept.asked_at < pause:
                return False
            kept.is_asking, kept.asked_at = True, now
            return True

    def _ask(self, url: str, kept: _Kept) -> None:
        try:
            kept.answer = _get(url)
            kept.answered_at = self.monotonic()
            log.info("keys.fetched", url=url)
        except NoResponse as error:
            log.error("keys.not_fetched", url=url, error=error.reason)
        finally:
            kept.is_asking = False


def _get(url: str) -> bytes:
    """Raise `NoResponse`, also for any status other than 200."""
    request = Request(method="GET", url=url)
    response = send(request, read_seconds=READ_SECONDS, most_bytes=LONGEST_ANSWER)
    if response.status != 200:
        raise NoResponse(f"answered {response.status}")
    return response.body
