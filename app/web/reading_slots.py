"""Slots for reads of the history: only a few run at once, so that callbacks do not wait."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from threading import Lock
from typing import Any, TypeVar, cast

from flask import current_app

from app.settings.sections import HistorySection
from app.web.context import service
from app.web.limits import Full, Places
from app.web.problems import RETRY_SECONDS, Problem

View = TypeVar("View", bound=Callable[..., Any])

EXTENSION = "vouch-turns"
# How long a reading thread may keep the interpreter while a callback's thread waits for it.
SHORT_SWITCH_SECONDS = 0.001


class ShortSwitches:
    """Shortens the interpreter's switch interval while a read runs.

    Callbacks alone run best when threads switch only to wait; beside a thread that serialises
    hundreds of rows they would wait for all of it.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._usual = 0.0

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                # Python returns a microsecond less than was set, each time.
                self._usual = round(sys.getswitchinterval(), 4)
                sys.setswitchinterval(min(self._usual, SHORT_SWITCH_SECONDS))

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                sys.setswitchinterval(self._usual)


@dataclass(frozen=True, slots=True)
class ReadingSlots:
    """The reads that run in this process."""

    queries: Places = field(default_factory=Places)
    exports: Places = field(default_factory=Places)
    short_switches: ShortSwitches = field(default_factory=ShortSwitches)

    @contextmanager
    def query(self, settings: HistorySection, wait_seconds: float) -> Iterator[None]:
        """Take one of the slots for queries. Raises the `Problem` busy."""
        with _place(self.queries, settings.queries, wait_seconds), self.short_switches:
            yield

    def export(self, settings: HistorySection) -> AbstractContextManager[None]:
        """Take one of the slots for exports. Raises the `Problem` busy."""
        return _place(self.exports, settings.exports, 0)


def takes_slot(view: View) -> View:
    """Run a view only with a slot, and add the problem busy to its description."""

    @wraps(view)
    def in_turn(*args: Any, **kwargs: Any) -> Any:
        with slot():
            return view(*args, **kwargs)

    return reads_history(in_turn)  # type: ignore[return-value]


def reads_history(view: View) -> View:
    """Add the problems busy and too slow to a view's description."""
    # The OpenAPI document reads it.
    view.reads_history = True  # type: ignore[attr-defined]
    return view


def slot() -> AbstractContextManager[None]:
    """Take a slot for this request. Raises the `Problem` busy."""
    settings = service().configuration.history
    return reading_slots().query(settings, settings.query_wait)


def reading_slots() -> ReadingSlots:
    return cast(ReadingSlots, current_app.extensions[EXTENSION])


@contextmanager
def _place(places: Places, most: int, wait_seconds: float) -> Iterator[None]:
    try:
        places.take(most, wait_seconds)
    except Full:
        headers = {"Retry-After": str(RETRY_SECONDS)}
        detail = f"No more than {most} of these are served at once."
        raise Problem("busy", detail, headers=headers) from None
    try:
        yield
    finally:
        places.give_back()
