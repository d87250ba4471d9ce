"""The armed faults, and which of them applies to a call."""

import threading
from dataclasses import dataclass, replace
from random import Random

from app.sandbox.faults import Fault


@dataclass
class Armed:
    """A fault and how often it will still apply (None: until it is cleared)."""

    fault: Fault
    left: int | None

    def fits(self, path: str, customer_id: str | None) -> bool:
        fault = self.fault
        return fault.path in (None, path) and fault.customer_id in (None, customer_id)


class ArmedFaults:
    """The armed faults, oldest first; the first that matches and is drawn is used."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._lock = threading.Lock()
        self._armed: list[Armed] = []

    def add(self, *faults: Fault) -> None:
        with self._lock:
            self._armed += [Armed(fault, _strikes(fault)) for fault in faults]

    def clear(self) -> None:
        with self._lock:
            self._armed.clear()

    def listed(self) -> list[Armed]:
        with self._lock:
            return [replace(armed) for armed in self._armed]

    def draw(self, path: str, customer_id: str | None = None) -> Fault | None:
        """Return the fault that applies to this call, if any, and count its use."""
        with self._lock:
            for armed in self._armed:
                if armed.fits(path, customer_id) and self._is_struck(armed.fault):
                    self._use(armed)
                    return armed.fault
        return None

    def _is_struck(self, fault: Fault) -> bool:
        return fault.probability is None or self._rng.random() < fault.probability

    def _use(self, armed: Armed) -> None:
        if armed.left is not None:
            armed.left -= 1
        self._armed = [each for each in self._armed if each.left != 0]


def _strikes(fault: Fault) -> int | None:
    is_once = fault.count is None and fault.probability is None
    return 1 if is_once else fault.count
