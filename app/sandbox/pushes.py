"""Whom does this Gameball tell of its grants? As an automation and as its two topics would."""

import hashlib
import heapq
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import requests

from app.sandbox import shapes
from app.sandbox.books import Books
from app.sandbox.rewards import Grant
from app.sandbox.settings import Push, SandboxSettings

_SECONDS_TO_ANSWER = 5.0
_LOOK_SECONDS = 0.01
# https://docs.gameball.co/api-reference/webhooks/overview
_RETRY_AFTER_SECONDS = (300.0, 1_200.0, 3_600.0)
_TOPICS: Mapping[str, Callable[[Grant], shapes.Json]] = {
    "notification": shapes.notification,
    "profile": shapes.profile,
}


@dataclass(frozen=True, order=True)
class Delivery:
    """A webhook that is to be posted at a time by the books' clock, after so many that failed."""

    at: float
    order: int
    url: str = field(compare=False)
    body: bytes = field(compare=False)
    headers: Mapping[str, str] = field(compare=False)
    failed: int = field(default=0, compare=False)


class Pusher:
    """A thread that posts webhooks of what was granted since it began."""

    def __init__(self, books: Books, now: Callable[[], float]) -> None:
        self._books = books
        self._now = now
        self._known = 0
        self._order = 0
        self._waiting: list[Delivery] = []
        self._session = requests.Session()
        self._session.trust_env = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pusher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the webhook that is under way."""
        self._stopping.set()
        self._thread.join()
        self._session.close()

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_SECONDS):
            self._note_grants(self._books.settings)
            while self._waiting and self._waiting[0].at <= self._now():
                self._post(heapq.heappop(self._waiting))
                if self._stopping.is_set():
                    return

    def _note_grants(self, settings: SandboxSettings) -> None:
        grants = self._books.grants_after(self._known)
        self._known += len(grants)
        if settings.push is None:
            return
        for grant in grants:
            if not settings.push.tells_of(grant.challenge_id):
                continue
            for body, headers in webhooks(grant, settings.push, settings.secret_key):
                at = grant.at + settings.push.delay_seconds
                self._enter(Delivery(at, self._order, settings.push.url, body, headers))

    def _enter(self, delivery: Delivery) -> None:
        self._order += 1
        heapq.heappush(self._waiting, delivery)

    def _post(self, one: Delivery) -> None:
        if self._is_taken(one) or one.failed == len(_RETRY_AFTER_SECONDS):
            return
        at = self._now() + _RETRY_AFTER_SECONDS[one.failed]
        again = Delivery(at, self._order, one.url, one.body, one.headers, one.failed + 1)
        self._enter(again)

    def _is_taken(self, one: Delivery) -> bool:
        try:
            answer = self._session.post(
                one.url,
                data=one.body,
                headers=dict(one.headers),
                timeout=_SECONDS_TO_ANSWER,
                allow_redirects=False,
            )
        except requests.RequestException:
            return False
        return answer.ok


def webhooks(
    grant: Grant, push: Push, secret_key: str
) -> Iterator[tuple[bytes, Mapping[str, str]]]:
    """What is posted of a grant: each form, as often as it is to be sent."""
    for form in push.forms:
        is_topic = form in _TOPICS
        body = _written(_TOPICS[form](grant) if is_topic else shapes.achieved(grant))
        headers = _signed(body, secret_key) if is_topic else {"X-Vouch-Secret": push.secret}
        for _ in range(push.copies):
            yield body, {"Content-Type": "application/json", **headers}


def _written(body: shapes.Json) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _signed(body: bytes, secret_key: str) -> Mapping[str, str]:
    signature = hashlib.sha1(body + b":" + secret_key.encode(), usedforsecurity=False)
    return {"X-GB-Signature": signature.hexdigest(), "X-GB-Webhook-Version": "v4"}
