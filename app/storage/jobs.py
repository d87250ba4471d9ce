"""Jobs: the items that callers give to a step and wait for."""

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

BatchStep = Callable[[Connection, Sequence[Any]], Sequence[Any]]

# Items per transaction. Each may lock an account, and PostgreSQL has room for about 6,000 such
# locks over all transactions. A transaction of thousands of items makes others wait for seconds.
MOST_ITEMS = 500


@dataclass(slots=True, eq=False, kw_only=True)
class Job:
    """One caller's items for a step that can serve several callers at once.

    It uses two bare locks instead of a `Future`: a callback waits here for its commit, and the
    condition of a future costs more than the rest of the hand-over.
    """

    step: BatchStep
    items: Sequence[Any]
    patience_seconds: float = math.inf
    """Seconds after which the caller needs an answer; the writer's own limit may be shorter."""
    end: "Sequence[Any] | Exception | None" = None
    _ended: threading.Lock = field(default_factory=threading.Lock)
    _taken: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._ended.acquire()

    def take(self) -> bool:
        """Claim the job, to run it or to give it up. Returns whether this caller claimed it."""
        return self._taken.acquire(blocking=False)

    def finish(self, end: "Sequence[Any] | Exception") -> None:
        self.end = end
        self._ended.release()

    def wait(self, seconds: float) -> bool:
        return self._ended.acquire(timeout=seconds)

    def result(self) -> Sequence[Any]:
        """Return the step's results for these items, or raise the error of step or transaction."""
        if isinstance(self.end, Exception):
            raise self.end
        assert self.end is not None  # noqa: S101 -- it has ended
        return self.end


def end_all(jobs: Sequence[Job], end: Exception) -> None:
    for job in jobs:
        job.finish(end)


def chunks(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """Yield the jobs in order, in lists of at most `MOST_ITEMS` items."""
    chunk: list[Job] = []
    count = 0
    for job in jobs:
        if chunk and count + len(job.items) > MOST_ITEMS:
            yield chunk
            chunk, count = [], 0
        chunk.append(job)
        count += len(job.items)
    if chunk:
        yield chunk
