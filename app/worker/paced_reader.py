"""Reads Gameball within the rate limit that all workers share."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import structlog
from sqlalchemy import Connection

from app.gameball.reading import Failure, NotReadable
from app.metrics import READS
from app.steps import read_rate_limit
from app.steps.read_rate_limit import ReadKind, ReadRateLimit, Reserved
from app.storage.database import Database

log = structlog.get_logger(__name__)

_ASKS_FOR_PATIENCE = frozenset({Failure.TOO_FAST, Failure.BLOCKED})

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Answers(Generic[K, V]):
    """The results and the failures. The rate limit had no room for keys that are in neither."""

    read: Mapping[K, V]
    failed: Mapping[K, Failure]


@dataclass(slots=True)
class Attempted(Generic[K, V]):
    """One read and its result."""

    key: K
    value: V | None = None
    error: NotReadable | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Reads for one worker, with as many parallel reads as ``pool`` has threads.

    ``seconds_each``: the longest time that a read can take. ``blocked_seconds``: the shortest wait
    after Gameball refuses the account, because no read can succeed until that is fixed.
    """

    database: Database
    pace: ReadRateLimit
    now: Callable[[], datetime]
    seconds_each: float
    pool: Executor | None = None
    blocked_seconds: float = 30.0

    def read(self, kind: ReadKind, asked: Sequence[K], get: Callable[[K], V]) -> Answers[K, V]:
        """Call ``get`` for as many keys as the rate limit allows. It may raise `NotReadable`."""
        reserved = self._reserved(kind, len(asked))
        if reserved is None:
            return Answers({}, {})
        each = map if self.pool is None else self.pool.map
        made: list[Attempted[K, V]] = list(each(_getting(get), asked[: reserved.count]))
        self.database.write(lambda c: self._ended(c, reserved, made))
        for one in made:
            READS.labels(kind, "read" if one.error is None else one.error.failure).inc()
        return Answers(
            {one.key: one.value for one in made if one.error is None},  # type: ignore[misc]
            {one.key: one.error.failure for one in made if one.error is not None},
        )

    def _reserved(self, kind: ReadKind, most: int) -> Reserved | None:
        if not most:
            return None
        until = self.now() + timedelta(seconds=self.seconds_each)
        return self.database.write(
            lambda c: read_rate_limit.reserve(c, kind, most, self.pace, until, self.now())
        )

    def _ended(
        self, connection: Connection, reserved: Reserved, made: Sequence[Attempted[Any, Any]]
    ) -> None:
        now = self.now()
        read_rate_limit.release(connection, reserved, now)
        errors = [one.error for one in made if one.error is not None]
        patience = [self._patience(one) for one in errors if one.failure in _ASKS_FOR_PATIENCE]
        if patience:
            read_rate_limit.slow(connection, reserved, max(patience), now)
        elif len(errors) < len(made):
            read_rate_limit.went_well(connection, reserved)

    def _patience(self, error: NotReadable) -> float:
        blocked = self.blocked_seconds if error.failure is Failure.BLOCKED else 0.0
        return max(blocked, error.retry_after_seconds or 0.0)


def _getting(get: Callable[[K], V]) -> Callable[[K], Attempted[K, V]]:
    def attempted(key: K) -> Attempted[K, V]:
        try:
            return Attempted(key, get(key))
        except NotReadable as error:
            return Attempted(key, error=error)
        except Exception:
            # An error in one customer's answer must not stop the other reads.
            log.exception("read.failed")
            return Attempted(key, error=NotReadable(Failure.JUNK))

    return attempted
