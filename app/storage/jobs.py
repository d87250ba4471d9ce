"""What waits for a transaction?"""

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

BatchStep = Callable[[Connection, Sequence[Any]], Sequence[Any]]

# In one transaction. Each may lock an account, and PostgreSQL has room for some 6,000 such locks,
# of all transactions together; and who waits for a transaction of thousands waits for seconds.
MOST_ITEMS = 500


@dataclass(slots=True, eq=False)
class Job:
    """One caller's items for a step that can serve several callers in one go.

    Two bare locks instead of a `Future`: a callback waits here for its commit, and a future's
    condition costs more than the rest of the hand-over.
    """

    step: BatchStep
    items: Sequence[Any]
    patience_seconds: float = math.inf
    """After how long its caller needs an answer, whatever it is; the writer's own may be less."""
    end: "Sequence[Any] | Exception | None" = None
    _ended: threading.Lock = field(default_factory=threading.Lock)
    _taken: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._ended.acquire()

    def take(self) -> bool:
        """Decide once whether it is run or given up; whether this caller decided."""
        return self._taken.acquire(blocking=False)

    def finish(self, end: "Sequence[Any] | Exception") -> None:
        self.end = end
        self._ended.release()

    def wait(self, seconds: float) -> bool:
        return self._ended.acquire(timeout=seconds)

    def result(self) -> Sequence[Any]:
        """What the step returned for these items. Raises what it, or the transaction, failed of."""
        if isinstance(self.end, Exception):
            raise self.end
        assert self.end is not None  # noqa: S101 -- it has ended
        return self.end


def end_all(jobs: Sequence[Job], end: Exception) -> None:
    for job in jobs:
        job.finish(end)


def chunks(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """The same jobs in their order, no more together than one transaction should take."""
    portion: list[Job] = []
    count = 0
    for job in jobs:
        if portion and count + len(job.items) > MOST_ITEMS:
            yield portion
            portion, count = [], 0
        portion.append(job)
        count += len(job.items)
    if portion:
        yield portion
