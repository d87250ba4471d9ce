"""A database that is closed behind the test."""

from collections.abc import Iterator

import pytest

from app.storage.database import Database


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()
