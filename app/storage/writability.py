"""Does the database take writes? Known from a tiny one, where it is not known already."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

# How long one tiny write that succeeded counts, unless a real one fails meanwhile; and how often
# another is tried while they fail. Only while somebody asks.
GOOD_SECONDS = 10.0
BAD_SECONDS = 1.0
# Who asks has an answer in this time: an orchestrator's probe gives up after a second or so.
PATIENCE_SECONDS = 0.8


class NoTurn(Exception):  # noqa: N818 -- reads as the claim it makes
    """Others kept the database busy; whether it takes writes, their success tells."""


@dataclass(slots=True, eq=False)
class _Probe:
    began_at: float
    problem: str | None = None
    ended: threading.Event = field(default_factory=threading.Event)
    ended_at: float = 0.0


class Writability:
    """Whether writes succeed in this process, for whoever decides to send it callbacks."""

    def __init__(self, write: Callable[[], None]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._last: _Probe | None = None
        self._succeeded_at = -1.0
        self._failed_at = -1.0

    def succeeded(self) -> None:
        """A real write did."""
        self._succeeded_at = time.monotonic()

    def failed(self) -> None:
        """A real write did, which another process's lock, or a bug, may have caused."""
        self._failed_at = time.monotonic()

    def problem(self) -> str | None:
        """Why nothing can be written, or None. Answers in a second, whatever the database does."""
        with self._lock:
            probe = self._last
            if probe is None or self._is_old(probe):
                probe = self._last = _Probe(time.monotonic())
                threading.Thread(target=self._try, args=(probe,), name="probe", daemon=True).start()
        if not probe.ended.wait(PATIENCE_SECONDS):
            return self._unless_others_succeed(probe, "a tiny write takes longer than usual")
        return probe.problem

    def rest(self) -> None:
        """Wait for a probe that has begun: what it writes to is about to be closed."""
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
