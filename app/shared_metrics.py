"""Sum up the counters of all web processes of one service, including ended ones."""

# Each process keeps its counters in files of a shared folder, which a scrape sums up.

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

# Metric types that can be summed up. A gauge of an ended process is meaningless.
_SUMMED = ("counter", "histogram")
# In place of a process id.
_ENDED = "ended"
_LOCK = "lock"
_PATIENCE_SECONDS = 2.0


def end_process(folder: Path, pid: int) -> None:
    """Add the counters of an ended process to those of earlier ones, and remove its files."""
    with _locked(folder / _LOCK, fcntl.LOCK_EX):
        for kind in _SUMMED:
            left = folder / f"{kind}_{pid}.db"
            if left.is_file():
                _add(left, folder / f"{kind}_{_ENDED}.db")
                left.unlink()
        for gauge in folder.glob(f"gauge_*_{pid}.db"):
            gauge.unlink()


class Counted(Collector):
    """The counters of all processes of a folder, including those that have ended."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._inner = MultiProcessCollector(None, str(folder))  # type: ignore[no-untyped-call]

    def collect(self) -> list[Metric]:
        # Not between adding a process's counters and removing its files.
        with _locked(self._folder / _LOCK, fcntl.LOCK_SH):
            return list(self._inner.collect())  # type: ignore[no-untyped-call]


def _add(left: Path, ended: Path) -> None:
    """Write completely or not at all: the disk may be full."""
    values = _values(ended) if ended.is_file() else {}
    for key, value in _values(left).items():
        values[key] = values.get(key, 0.0) + value
    unfinished = ended.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    written = MmapedDict(str(unfinished))  # type: ignore[no-untyped-call]
    for key, value in values.items():
        written.write_value(key, value, 0.0)  # type: ignore[no-untyped-call]
    written.close()  # type: ignore[no-untyped-call]
    unfinished.replace(ended)


def _values(file: Path) -> dict[str, float]:
    if file.stat().st_size == 0:  # killed before its first count
        return {}
    found = MmapedDict.read_all_values_from_file(str(file))  # type: ignore[no-untyped-call]
    return {key: value for key, value, _timestamp, _position in found}


@contextlib.contextmanager
def _locked(file: Path, how: int) -> Iterator[None]:
    """Lock a file. Raises BlockingIOError when it stays locked: gunicorn must not wait for long."""
    descriptor = os.open(file, os.O_CREAT | os.O_RDWR, 0o600)
    give_up = time.monotonic() + _PATIENCE_SECONDS
    try:
        while True:
            try:
                fcntl.flock(descriptor, how | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.005)
        yield
    finally:
        os.close(descriptor)
