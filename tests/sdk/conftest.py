"""Do the platforms' own SDKs read our examples? Outside the ordinary run: `make sdk`.

The SDKs are in the folder that VOUCH_SDKS names, at the versions of sdks.txt beside this file.
"""

import os
import sys
from pathlib import Path

import pytest

FOLDER = os.environ.get("VOUCH_SDKS")
collect_ignore_glob = [] if FOLDER else ["test_*.py"]

if FOLDER:
    # Last: of what both have, ours is used.
    sys.path.append(FOLDER)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.sdk)
            # What an SDK warns of is not ours to mend.
            item.add_marker(pytest.mark.filterwarnings("ignore"))
