"""Webhooks about grants, as Gameball's automations and its two topics send them."""

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


@dataclass(frozen=True, order=True, kw_only=True)
class Delivery:
    """A webhook to be posted at a time of the books' clock, and its number of failures."""

    at: float
    order: int
    url: str = field(compare=False)
    body: bytes = field(compare=False)
    headers: Mapping[str, str] = field(compare=False)
    failed: int = field(default=0, compare=False)


class Pusher:
    """A thread that posts webhooks about grants since its start."""

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
        """Stop after the webhook that is being posted."""
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
                self._enter(
                    Delivery(
                        at=at, order=self._order, url=settings.push.url, body=body, headers=headers
                    )
                )

    def _enter(self, delivery: Delivery) -> None:
        self._order += 1
        heapq.heappush(self._waiting, delivery)

    def _post(self, delivery: Delivery) -> None:
        if self._is_taken(delivery) or delivery.failed == len(_RETRY_AFTER_SECONDS):
            return
        at = self._now() + _RETRY_AFTER_SECONDS[delivery.failed]
        again = Delivery(
            at=at,
            order=self._order,
            url=delivery.url,
            body=delivery.body,
            headers=delivery.headers,
            failed=delivery.failed + 1,
        )
        self._enter(again)

    def _is_taken(self, delivery: Delivery) -> bool:
        try:
            answer = self._session.post(
                delivery.url,
                data=delivery.body,
                headers=dict(delivery.headers),
                timeout=_SECONDS_TO_ANSWER,
                allow_redirects=False,
            )
        except requests.RequestException:
            return False
        return answer.ok


def webhooks(
    grant: Grant, push: Push, secret_key: str
) -> Iterator[tuple[bytes, Mapping[str, str]]]:
    """Yield the webhooks about a grant: each form, as often as it is to be sent."""
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
