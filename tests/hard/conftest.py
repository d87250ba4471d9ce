"""An installation over each kind of database, a Gameball to tell, and an end to every process."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.sandbox.books import Books
from app.sandbox.server import SandboxServer
from app.sandbox.settings import Limit, SandboxSettings
from tests.hard.harness import Installation
from tests.hard.history import History

Survived = Callable[..., None]


@pytest.fixture
def gameball() -> Iterator[SandboxServer]:
    """A Gameball that grants at once and has no pace of its own, until a test changes that."""
    settings = SandboxSettings(
        dedup_window_seconds=60,
        grant_delay_seconds=0.05,
        limits={"customersPost": Limit(10_000, 100_000)},
    )
    with SandboxServer(settings, seed=1) as server:
        yield server


@pytest.fixture
def books(gameball: SandboxServer) -> Books:
    return gameball.books


@pytest.fixture
def installation(
    tmp_path: Path, database_url: str, gameball: SandboxServer
) -> Iterator[Installation]:
    made = Installation(folder=tmp_path, database_url=database_url, gameball_url=gameball.url)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def history(database_url: str) -> Iterator[History]:
    opened = History(database_url)
    yield opened
    opened.close()


@pytest.fixture
def survived(record_property: Callable[[str, object], None]) -> Survived:
    """Say what a test survived, in numbers."""

    def say(**counts: object) -> None:
        for name, count in counts.items():
            record_property(name, count)
        told = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items())
        print(f"\n    survived: {told}")  # noqa: T201 -- the point of it

    return say
