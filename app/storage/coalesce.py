"""How do the callers that one thread serves share a write?

Python threads that wait for each other hand over the interpreter, which costs more than an intake
itself. So one thread serves many callbacks: each runs, as a greenlet, until it wants to write; then
all of their writes are made together, and each goes on with its own result.
"""

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
    """Where this caller may leave its write to be made with those of others; None: it is alone."""
    park: Park | None = getattr(_here, "park", None)
    return park


def run_coalesced(
    calls: Sequence[Callable[[], Any]], on_parked: Callable[[], None] | None = None
) -> list[Any]:
    """Run ``calls`` in this thread, and make their writes together; what each returned or raised.

    ``on_parked`` is called when all have run as far as their first write.
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
