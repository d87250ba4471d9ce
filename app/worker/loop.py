"""A background thread that repeats a function and survives its errors."""

import threading
from collections.abc import Callable
from typing import TypeVar

import structlog

from app.storage.errors import StorageUnavailable

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Loop:
    """Calls ``act`` in its own thread until `stop`. ``act`` returns the seconds to wait.

    After an error the thread waits ``after_error_seconds``. No work is lost, because it is stored
    in the database.
    """

    def __init__(
        self,
        name: str,
        act: Callable[[], float],
        *,
        after_error_seconds: float = 1.0,
        first_wait_seconds: float = 0.0,
    ) -> None:
        self.name = name
        self._act = act
        self._after_error_seconds = after_error_seconds
        self._first_wait_seconds = first_wait_seconds
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """End the current wait."""
        self._woken.set()

    def stop(self, wait_seconds: float | None = None) -> None:
        """Start nothing more, and wait for the current call. None waits without a limit."""
        self._stopping.set()
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join(wait_seconds)

    def wait(self, seconds: float) -> bool:
        """Wait inside ``act``. Returns whether the loop is to stop."""
        return self._stopping.wait(seconds)

    def outlive(self, act: Callable[[], T]) -> T | None:
        """Run a part of ``act``. On an error, log it and return None."""
        try:
            return act()
        except StorageUnavailable as error:
            log.warning(f"{self.name}.storage_unavailable", problem=str(error))
        except Exception:
            log.exception(f"{self.name}.failed")
        return None

    def _run(self) -> None:
        self._woken.wait(self._first_wait_seconds)
        while not self._stopping.is_set():
            # Clear before the call, so that a wake during the call leads to another call.
            self._woken.clear()
            seconds = self.outlive(self._act)
            if self._stopping.is_set():
                return
            self._woken.wait(self._after_error_seconds if seconds is None else seconds)
