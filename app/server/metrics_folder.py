"""Where do the web processes of one service keep what they count, and who removes it?

Nothing here imports prometheus_client: it looks once, when it is imported, whether there is such
a folder.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_PREFIX, _IN_USE = "vouch-metrics-", "in-use"


def make_folder() -> Path:
    """A folder that is known to be in use for as long as this process, or a child of it, lives."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        # Never closed: the kernel gives up the lock when the last process that has it ends.
        descriptor = os.open(folder / _IN_USE, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        # Somebody who looked just before may have taken it for an abandoned one.
        if (folder / _IN_USE).exists():
            return folder
        os.close(descriptor)


def remove_abandoned() -> None:
    """Remove the folders of services that were killed and could not do so themselves."""
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
