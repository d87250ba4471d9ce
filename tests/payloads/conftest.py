"""What do we read in the payloads that others publish? Outside the ordinary run: `make payloads`.

The packages are in the folder that VOUCH_PAYLOADS names, as `fetching.py` unpacks them.
"""

import os
from pathlib import Path

import pytest

FOLDER = os.environ.get("VOUCH_PAYLOADS")
collect_ignore_glob = [] if FOLDER else ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.payloads)


@pytest.fixture
def folder() -> Path:
    return Path(FOLDER or "")
