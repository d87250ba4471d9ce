"""Does what compose.yaml says become healthy? Its commands and files, run without Docker."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.running.test_compose import DEMO, OURS, ROOT

READY_WITHIN_SECONDS = 60.0


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What the head of compose.yaml has one do."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    subprocess.run(["sh", "config/secrets.sh"], cwd=tmp_path, check=True, capture_output=True)
    shutil.copy(tmp_path / "config/vouch.example.toml", tmp_path / "config/vouch.toml")
    return tmp_path


def environment(project: Path, service: dict[str, Any]) -> dict[str, str]:
    """The service's own variables alone, with the paths that its mounts would have."""
    mounts = {"/run/secrets": str(project / "secrets"), "/var/lib/vouch": str(project / "state")}
    for mount in service["volumes"]:
        source, target, *_ = mount.split(":")
        if source.startswith("."):
            mounts[target] = str(project / source)
    ours = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(project)}
    return ours | {name: _outside(value, mounts) for name, value in service["environment"].items()}


def _outside(value: str, mounts: dict[str, str]) -> str:
    for inside, outside in mounts.items():
        if inside in value:
            return value.replace(inside, outside)
    return value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def arguments(service: dict[str, Any], port: int) -> list[str]:
    command = [str(one).replace("0.0.0.0", "127.0.0.1") for one in service["command"]]
    for inside in ("8000", "8100", "9100"):
        command = [one.replace(f":{inside}", f":{port}") for one in command]
    return [sys.executable, "-m", "app", *command]


@contextmanager
def healthy(project: Path, service: dict[str, Any], **others: str) -> Iterator[int]:
    """A service that runs until its own health check says that it is well; its port."""
    port = free_port()
    check = [str(one) for one in service["healthcheck"]["test"][1:]]
    for inside in ("8000", "8100", "9100"):
        check = [one.replace(f"127.0.0.1', {inside}", f"127.0.0.1', {port}") for one in check]
    check[0] = sys.executable
    with subprocess.Popen(
        arguments(service, port),
        cwd=project,
        env={**environment(project, service), **others},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as child:
        try:
            until = time.monotonic() + READY_WITHIN_SECONDS
            while subprocess.run(check, check=False, capture_output=True).returncode != 0:
                if child.poll() is not None or time.monotonic() > until:
                    child.kill()
                    pytest.fail(child.communicate()[0][-2000:])
                time.sleep(0.2)
            yield port
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(45)


@pytest.mark.hard
def test_the_documented_sequence_becomes_healthy(project: Path, postgres_url: str) -> None:
    url = project / "secrets/database_url"
    url.unlink()
    url.write_text(postgres_url.replace("+psycopg", ""), "utf-8")
    for name in ("gameball_api_key", "gameball_secret_key"):
        (project / "secrets" / name).write_text("gameball-key", "utf-8")
    migrate = OURS["migrate"]
    subprocess.run(
        arguments(migrate, 0), cwd=project, env=environment(project, migrate), check=True
    )

    with ExitStack() as stack:
        for name in ("web1", "web2", "worker"):
            assert stack.enter_context(healthy(project, OURS[name]))


@pytest.mark.hard
def test_the_demo_needs_no_account(project: Path) -> None:
    (project / "state").mkdir()

    with (
        healthy(project, DEMO["sandbox"]) as sandbox,
        healthy(project, DEMO["demo"], GAMEBALL_BASE_URL=f"http://127.0.0.1:{sandbox}") as port,
    ):
        assert port


def test_the_demo_reaches_its_sandbox_by_name_and_is_open_to_this_machine_alone() -> None:
    assert DEMO["demo"]["environment"]["GAMEBALL_BASE_URL"] == "http://sandbox:8100"
    assert DEMO["demo"]["ports"] == ["127.0.0.1:8000:8000"]
    assert "ports" not in DEMO["sandbox"]
    assert all(one["read_only"] and one["cap_drop"] == ["ALL"] for one in DEMO.values())
