"""Can machines be upgraded one by one, while callbacks keep coming?

The previous version is the commit in `previous_version.txt`: a release replaces it by its own.
"""

import itertools
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from app.sandbox.books import Books
from app.sandbox.calls import SOCIAL_CHALLENGES
from app.sandbox.faults import Fault
from app.sandbox.server import SandboxServer
from app.storage.engines import write_engine
from app.storage.migrate import upgrade
from tests.hard.conftest import Survived
from tests.hard.harness import CHALLENGE, ROOT, Installation, wait_until, wait_while_it_falls
from tests.hard.history import KEYS, History
from tests.hard.platform import Load

pytestmark = [pytest.mark.hard, pytest.mark.timeout(180)]


@pytest.fixture
def previous(tmp_path: Path) -> Path:
    """The previous version's code, in a folder of its own."""
    commit = (Path(__file__).parent / "previous_version.txt").read_text("utf-8").split()[0]
    archive, tree = tmp_path / "previous.zip", tmp_path / "previous"
    made = subprocess.run(
        ["git", "archive", "--output", str(archive), commit],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"the previous version, {commit}, is not in this checkout")
    # No tar: what makes unpacking one safe came with Python 3.11.4, and Debian 12 has 3.11.2.
    with zipfile.ZipFile(archive) as members:
        members.extractall(tree)
    return tree


@pytest.fixture
def unmigrated_url(postgres_url: str) -> str:
    engine = write_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return postgres_url


def test_old_and_new_serve_and_work_beside_each_other_and_nothing_is_lost_or_paid_twice(
    previous: Path,
    unmigrated_url: str,
    tmp_path: Path,
    gameball: SandboxServer,
    books: Books,
    survived: Survived,
) -> None:
    old = Installation(
        folder=tmp_path, database_url=unmigrated_url, gameball_url=gameball.url, tree=previous
    )
    new = replace(old, tree=ROOT, processes=[])
    books.faults.add(
        Fault(kind="slow", path=SOCIAL_CHALLENGES, probability=0.3, seconds=0.1),
        Fault(kind="http-500-after", path=SOCIAL_CHALLENGES, probability=0.05),
    )
    plain = make_url(unmigrated_url).set(drivername="postgresql")
    subprocess.run(
        [sys.executable, "-m", "app", "db", "upgrade"],
        cwd=previous,
        env={
            **old._environment(),
            "DATABASE_URL": plain.render_as_string(hide_password=False),
        },
        check=True,
        capture_output=True,
    )
    history = History(unmigrated_url)
    try:
        old_web = old.serve("--no-worker")
        (old_worker,) = old.work()
        history.link(range(5_000))
        old_load = Load(port=old_web.port)
        with old_load.running(callers=2):
            time.sleep(1)
            upgrade(unmigrated_url, KEYS)
            time.sleep(0.5)
            new_web = new.serve("--no-worker")
            new.work()
            new_load = Load(port=new_web.port, _numbers=itertools.count(2_000))
            with new_load.running(callers=2):
                # One that fails meanwhile comes back, on the database of the new version.
                old_web.kill()
                old_web = old.serve("--no-worker", port=old_web.port)
                time.sleep(1.5)
        stopped = old_web.stop() + old_worker.stop()
        wait_while_it_falls(history.owed, "everything owed is sent")
        wait_until(lambda: books.report().pending_grants == 0, 5, "the grants")

        answered = old_load.answered | new_load.answered
        workers = {row.worker for row in history.submissions()}
        assert set(history.event_keys()) == {f"event-{n}" for n in answered}
        assert books.report().counts == {(f"customer-{n}", CHALLENGE): 1 for n in answered}
        assert not any(one.startswith(("4", "5")) for one in new_load.failures)
        assert not any(one.startswith("4") for one in old_load.failures)
        assert len(workers) == 2
    finally:
        history.close()
        old.end()
        new.end()
    survived(kills=1, faults=1, events=len(answered), stopping=f"{stopped:.1f} s")
