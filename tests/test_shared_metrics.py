"""Do counters go on counting when processes end, and do their files go?"""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict

from app.server.metrics_folder import make_folder, remove_abandoned
from app.shared_metrics import Counted, end_process

KEYS = {
    "counter": '["vouch_claims", "vouch_claims_total", {"outcome": "new"}, "Claims."]',
    "histogram": '["vouch_wait", "vouch_wait_bucket", {"le": "1.0"}, "Waits."]',
}


def counted_by(folder: Path, pid: int, value: float) -> None:
    for kind, key in KEYS.items():
        file = MmapedDict(str(folder / f"{kind}_{pid}.db"))  # type: ignore[no-untyped-call]
        file.write_value(key, value, 0.0)  # type: ignore[no-untyped-call]
        file.close()  # type: ignore[no-untyped-call]


def total(folder: Path) -> dict[str, float]:
    return {
        sample.name: sample.value
        for metric in Counted(folder).collect()
        for sample in metric.samples
    }


def test_what_ended_processes_counted_stays_and_their_files_go(tmp_path: Path) -> None:
    for pid in range(1, 31):
        counted_by(tmp_path, pid, 2.0)
    before = total(tmp_path)

    for pid in range(1, 30):
        end_process(tmp_path, pid)
        assert total(tmp_path) == before

    assert before["vouch_claims_total"] == before["vouch_wait_bucket"] == 60.0
    assert {file.name for file in tmp_path.glob("*.db")} == {
        "counter_30.db",
        "histogram_30.db",
        "counter_ended.db",
        "histogram_ended.db",
    }


def test_a_process_that_was_killed_before_it_counted_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "counter_7.db").touch()
    (tmp_path / "gauge_all_7.db").touch()

    end_process(tmp_path, 7)
    end_process(tmp_path, 8)

    assert not list(tmp_path.glob("*_7.db"))
    assert total(tmp_path) == {}


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_folder_of_a_service_that_was_killed_is_removed_by_the_next(temporary: Path) -> None:
    code = "from app.server.metrics_folder import make_folder; print(make_folder())"
    for _ in range(3):
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    strangers = temporary / "vouch-metrics-of-an-older-version"
    strangers.mkdir()
    assert len(list(temporary.iterdir())) == 4

    ours = make_folder()
    remove_abandoned()

    assert set(temporary.iterdir()) == {ours, strangers}
