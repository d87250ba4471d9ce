"""Combine the writes of the callers that one thread serves."""

# Python threads that wait for each other switch the interpreter, which costs more than an intake.
# So one thread serves many callbacks: each runs as a greenlet until its first write. Then all their
# writes are made together, and each greenlet continues with its own result.

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from greenlet import getcurrent, greenlet

from app.storage.jobs import Job

WriteAll = Callable[[Sequence[Job]], None]
Park = Callable[[Job, WriteAll], None]

_here = threading.local()


def parking() -> Park | None:
    """Return the function that adds this caller's write to a common one, or None."""
    park: Park | None = getattr(_here, "park", None)
    return park


def run_coalesced(
    calls: Sequence[Callable[[], Any]], on_parked: Callable[[], None] | None = None
) -> list[Any]:
    """Run ``calls`` in this thread with common writes; return each result or exception.

    ``on_parked`` is called when every call has reached its first write or ended.
    """
    ends: list[Any] = [None] * len(calls)
    parked: list[tuple[greenlet, Job, WriteAll]] = []
    hub = getcurrent()

    def park(job: Job, write: WriteAll) -> None:
        parked.append((getcurrent(), job, write))
        hub.switch()

    def call(position: int) -> None:
        try:
            ends[position] = calls[position]()
        except Exception as error:
            ends[position] = error

    _here.park = park
    try:
        for position in range(len(calls)):
            greenlet(partial(call, position)).switch()
        if on_parked is not None:
            on_parked()
        while parked:
            waiting, parked = parked, []
            for write in {write for _, _, write in waiting}:
                write([job for _, job, its in waiting if its == write])
            for let, _, _ in waiting:
                let.switch()
    finally:
        del _here.park
    return ends
