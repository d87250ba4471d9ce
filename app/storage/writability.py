"""Check whether the database takes writes, with a small write when no recent one shows it."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

# How long a successful probe counts, unless a real write fails; and how often a probe is repeated
# while it fails. Probes run only while somebody asks.
GOOD_SECONDS = 10.0
BAD_SECONDS = 1.0
# The caller gets an answer in this time: an orchestrator's probe gives up after about a second.
PATIENCE_SECONDS = 0.8


class NoTurn(Exception):  # noqa: N818 -- reads as the claim it makes
    """Others kept the database busy. Whether it takes writes shows in their success."""


@dataclass(slots=True, eq=False, kw_only=True)
class _Probe:
    began_at: float
    problem: str | None = None
    ended: threading.Event = field(default_factory=threading.Event)
    ended_at: float = 0.0


class Writability:
    """Whether writes succeed in this process, for the readiness probe."""

    def __init__(self, write: Callable[[], None]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._last: _Probe | None = None
        self._succeeded_at = -1.0
        self._failed_at = -1.0

    def succeeded(self) -> None:
        """Record that a real write succeeded."""
        self._succeeded_at = time.monotonic()

    def failed(self) -> None:
        """Record that a real write failed, perhaps from another process's lock or a bug."""
        self._failed_at = time.monotonic()

    def problem(self) -> str | None:
        """Return why nothing can be written, or None, within a second."""
        with self._lock:
            probe = self._last
            if probe is None or self._is_old(probe):
                probe = self._last = _Probe(began_at=time.monotonic())
                threading.Thread(target=self._try, args=(probe,), name="probe", daemon=True).start()
        if not probe.ended.wait(PATIENCE_SECONDS):
            return self._unless_others_succeed(probe, "a test write takes too long")
        return probe.problem

    def rest(self) -> None:
        """Wait for a running probe before its database is closed."""
        with self._lock:
            probe = self._last
        if probe is not None:
            probe.ended.wait(GOOD_SECONDS)

    def _is_old(self, probe: _Probe) -> bool:
        if not probe.ended.is_set():
            return False
        is_doubtful = probe.problem is not None or self._failed_at > probe.began_at
        age = time.monotonic() - probe.ended_at
        return age > (BAD_SECONDS if is_doubtful else GOOD_SECONDS)

    def _try(self, probe: _Probe) -> None:
        try:
            self._write()
        except NoTurn as error:
            probe.problem = self._unless_others_succeed(probe, str(error))
        except Exception as error:
            probe.problem = str(error) or type(error).__name__
        probe.ended_at = time.monotonic()
        probe.ended.set()

    def _unless_others_succeed(self, probe: _Probe, problem: str) -> str | None:
        return None if self._succeeded_at > probe.began_at else problem
