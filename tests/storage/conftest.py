"""A database that is closed behind the test."""

from collections.abc import Iterator

import pytest

from app.storage.database import Database
from tests.keys import KEYS


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, secret_keys=KEYS)
    yield database
    database.close()
