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
# What strangers send must not make us ask the platform at every forgery.
ANEW_AT_MOST_EVERY_SECONDS = 60.0
FIRST_AT_MOST_EVERY_SECONDS = 5.0
TRUSTED_FOR_SECONDS = 86_400.0

Task = Callable[[], None]


def in_background(task: Task) -> None:
    """A request waits for nobody: others may share its thread, and platforms are impatient."""
    threading.Thread(target=task, name="published-keys", daemon=True).start()


def fetched_now(url: str, *, anew: bool = False) -> bytes:  # noqa: ARG001 -- as a Fetcher
    """For commands, that a person waits for. Raises `KeysUnavailable`."""
    try:
        return _get(url)
    except NoResponse as error:
        raise KeysUnavailable(f"{url} has not answered ({error.reason})") from None


@dataclass(slots=True)
class _Kept:
    answer: bytes | None = None
    asked_at: float = float("-inf")
    answered_at: float = float("-inf")
    is_asking: bool = False


@dataclass(slots=True)
class PublishedKeys:
    """Answers of addresses, kept in memory; a `Fetcher` for adapters.

    While the first answer, or one that is wanted anew, is on its way the keys are unavailable.
    What was had once stays good while the platform does not answer.
    """

    begin: Callable[[Task], None] = in_background
    monotonic: Callable[[], float] = time.monotonic
    _kept: dict[str, _Kept] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, url: str, *, anew: bool = False) -> bytes:
        kept = self._kept.setdefault(url, _Kept())
        if self._is_to_ask(kept, anew=anew):
            self.begin(lambda: self._ask(url, kept))
        if kept.answer is None:
            raise KeysUnavailable(f"{url} has not answered")
        if anew and kept.is_asking:
            raise KeysUnavailable(f"{url} is being asked anew")
        return kept.answer

    def _is_to_ask(self, kept: _Kept, *, anew: bool) -> bool:
        with self._lock:
            now = self.monotonic()
            is_wanted = anew or now - kept.answered_at > TRUSTED_FOR_SECONDS
            pause = ANEW_AT_MOST_EVERY_SECONDS if kept.answer else FIRST_AT_MOST_EVERY_SECONDS
            if kept.is_asking or not is_wanted or now - kept.asked_at < pause:
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
    """Raises `NoResponse`, also for any status but 200."""
    request = Request(method="GET", url=url)
    response = send(request, read_seconds=READ_SECONDS, most_bytes=LONGEST_ANSWER)
    if response.status != 200:
        raise NoResponse(f"answered {response.status}")
    return response.body
