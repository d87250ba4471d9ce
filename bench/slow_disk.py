"""How does everything do where a sync of the disk takes longer, as it does in a cloud?"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

static int slowly(const char *name, int fd) {
    struct timespec pause = {0, SLOW_NANOSECONDS};
    int (*sync)(int) = dlsym(RTLD_NEXT, name);
    nanosleep(&pause, 0);
    return sync(fd);
}
int fsync(int fd) { return slowly("fsync", fd); }
int fdatasync(int fd) { return slowly("fdatasync", fd); }
"""


@contextmanager
def slowed_disk(milliseconds: float) -> Iterator[None]:
    """Let every sync of the processes started meanwhile take so much longer. It takes a C compiler.

    Processes take it from LD_PRELOAD, so that a server that runs already is not slowed.
    """
    if not milliseconds:
        yield
        return
    folder = Path(tempfile.mkdtemp(prefix="vouch-bench-"))
    try:
        (folder / "slow.c").write_text(_SOURCE)
        library = folder / "slow.so"
        pause = f"-DSLOW_NANOSECONDS={int(milliseconds * 1e6)}"
        command = ["cc", "-shared", "-fPIC", pause, "-o", str(library), str(folder / "slow.c")]
        subprocess.run([*command, "-ldl"], check=True)
        os.environ["LD_PRELOAD"] = str(library)
        yield
    finally:
        os.environ.pop("LD_PRELOAD", None)
        shutil.rmtree(folder, ignore_errors=True)
