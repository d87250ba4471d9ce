"""Create and remove the folders in which web processes keep their counters."""

# This module must not import prometheus_client, which checks for such a folder when it is imported.

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_PREFIX, _IN_USE = "vouch-metrics-", "in-use"


def make_folder() -> Path:
    """Create a folder that counts as in use while this process, or a child of it, lives."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        # Never closed: the kernel releases the lock when the last process that holds it ends.
        descriptor = os.open(folder / _IN_USE, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        # Another service may have removed it as abandoned before we locked it.
        if (folder / _IN_USE).exists():
            return folder
        os.close(descriptor)


def remove_abandoned() -> None:
    """Remove the folders of services that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            found = folder.lstat()
            if folder.is_symlink() or found.st_uid != os.geteuid():
                continue
            descriptor = os.open(folder / _IN_USE, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
