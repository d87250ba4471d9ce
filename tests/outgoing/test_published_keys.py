"""What platforms publish is fetched once, kept, and asked for anew only so often."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from app.outgoing.published_keys import (
    LONGEST_ANSWER,
    PublishedKeys,
    Task,
    fetched_now,
    in_background,
)
from app.platforms.kit.callback import KeysUnavailable


@dataclass(kw_only=True)
class Publisher:
    """Somebody who publishes a key."""

    url: str
    status: int = 200
    answer: bytes = b"key 1"
    asked: int = 0


@dataclass
class Seconds:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


def at_once(task: Task) -> None:
    task()


@dataclass
class Asking:
    publisher: Publisher
    seconds: Seconds = field(default_factory=Seconds)

    def __post_init__(self) -> None:
        self.keys = PublishedKeys(begin=at_once, monotonic=self.seconds)

    def __call__(self, *, refresh: bool = False) -> bytes:
        return self.keys(self.publisher.url, refresh=refresh)


@pytest.fixture
def ask() -> Iterator[Asking]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            publisher.asked += 1
            self.send_response(publisher.status)
            if publisher.status == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(publisher.answer)))
            self.end_headers()
            self.wfile.write(publisher.answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        publisher = Publisher(url=f"http://127.0.0.1:{server.server_port}/public-key")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield Asking(publisher)
        server.shutdown()
        thread.join()


def test_an_answer_is_fetched_once_and_kept(ask: Asking) -> None:
    assert [ask(), ask(), ask()] == [b"key 1"] * 3
    assert ask.publisher.asked == 1


def test_what_did_not_do_is_fetched_anew_but_not_at_every_forgery(ask: Asking) -> None:
    ask()
    ask.publisher.answer = b"key 2"

    assert ask(refresh=True) == b"key 1"
    ask.seconds.now += 61
    assert ask(refresh=True) == b"key 2"
    assert [ask(refresh=True), ask()] == [b"key 2"] * 2
    assert ask.publisher.asked == 2


def test_it_is_asked_for_again_after_a_day(ask: Asking) -> None:
    ask()
    ask.publisher.answer = b"key 2"
    ask.seconds.now += 86_401

    assert ask() == b"key 2"


@pytest.mark.parametrize("status", [302, 404, 500])
def test_what_was_had_once_stays_good_while_nothing_better_is_answered(
    ask: Asking, status: int
) -> None:
    ask()
    ask.publisher.status, ask.publisher.answer = status, b"an error page"
    ask.seconds.now += 86_401

    assert ask() == b"key 1"


@pytest.mark.parametrize("status", [302, 404, 500])
def test_with_nothing_had_yet_the_keys_are_unavailable_and_asked_for_again(
    ask: Asking, status: int
) -> None:
    ask.publisher.status = status
    with pytest.raises(KeysUnavailable, match="has not answered"):
        ask()

    ask.publisher.status = 200
    with pytest.raises(KeysUnavailable):
        ask()
    asked = ask.publisher.asked
    ask.seconds.now += 6

    assert ask() == b"key 1"
    assert asked == 1


def test_an_answer_that_is_too_long_is_none(ask: Asking) -> None:
    ask.publisher.answer = b"x" * (LONGEST_ANSWER + 1)

    with pytest.raises(KeysUnavailable):
        ask()


def test_where_nobody_listens_the_keys_are_unavailable() -> None:
    with pytest.raises(KeysUnavailable):
        PublishedKeys(begin=at_once)("http://127.0.0.1:9/public-key")


def test_a_person_waits_for_an_answer_every_time(ask: Asking) -> None:
    assert [fetched_now(ask.publisher.url), fetched_now(ask.publisher.url)] == [b"key 1"] * 2
    assert ask.publisher.asked == 2

    ask.publisher.status = 500
    with pytest.raises(KeysUnavailable, match="has not answered"):
        fetched_now(ask.publisher.url)


def test_nobody_waits_for_an_answer(ask: Asking) -> None:
    begun: list[Task] = []
    keys = PublishedKeys(begin=begun.append, monotonic=ask.seconds)

    for _ in range(3):
        with pytest.raises(KeysUnavailable, match="has not answered"):
            keys(ask.publisher.url)
    (task,) = begun
    task()

    assert keys(ask.publisher.url) == b"key 1"


def test_while_it_is_asked_anew_only_who_needs_the_newer_has_to_come_again(ask: Asking) -> None:
    begun: list[Task] = []
    keys = PublishedKeys(begin=begun.append, monotonic=ask.seconds)
    with pytest.raises(KeysUnavailable):
        keys(ask.publisher.url)
    begun.pop()()
    ask.seconds.now += 61
    ask.publisher.answer = b"key 2"

    with pytest.raises(KeysUnavailable, match="is being fetched again"):
        keys(ask.publisher.url, refresh=True)
    assert keys(ask.publisher.url) == b"key 1"
    begun.pop()()

    assert keys(ask.publisher.url) == keys(ask.publisher.url, refresh=True) == b"key 2"
    assert not begun


def test_in_background_is_in_a_thread_that_ends_with_the_process() -> None:
    seen: list[threading.Thread] = []
    done = threading.Event()

    def task() -> None:
        seen.append(threading.current_thread())
        done.set()

    in_background(task)

    assert done.wait(5)
    assert seen[0] is not threading.current_thread()
    assert seen[0].daemon
