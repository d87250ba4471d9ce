"""The `vouch` command by a clock that is wrong by as many seconds as a file says.

`JUMP_FILE=… python -m tests.hard.jumping work`
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import app.domain.clock

_FILE = Path(os.environ["JUMP_FILE"])


def utc_now() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=float(_FILE.read_text() or 0))


app.domain.clock.utc_now = utc_now

if __name__ == "__main__":
    # Only now: everybody who imports the clock gets the wrong one.
    from app.cli import main

    main()
