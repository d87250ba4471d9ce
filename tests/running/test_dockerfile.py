"""Does the image hold what it needs and nothing more, and run as nobody?"""

import json
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from tests.packaging.docker_ignore import sent

ROOT = Path(__file__).parents[2]
Instruction = tuple[str, str]


def instructions() -> list[Instruction]:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    whole = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.strip() for line in whole.splitlines() if line.strip()]
    return [(line.split()[0], line.split(None, 1)[1]) for line in lines]


def stages() -> list[list[Instruction]]:
    found: list[list[Instruction]] = []
    for instruction in instructions():
        if instruction[0] == "FROM":
            found.append([])
        if found:
            found[-1].append(instruction)
    return found


def values(stage: list[Instruction], name: str) -> list[str]:
    return [value for word, value in stage if word == name]


BUILD, FINAL = stages()


def test_the_base_is_named_with_its_version_once_for_both_stages() -> None:
    [base] = [value for word, value in instructions() if value.startswith("BASE=")]

    assert re.fullmatch(r"BASE=python:3\.\d+-slim-[a-z]+", base)
    assert [values(stage, "FROM")[0].split()[0] for stage in (BUILD, FINAL)] == ["${BASE}"] * 2


def test_it_runs_as_a_number_that_is_not_root() -> None:
    assert values(FINAL, "USER") == ["10001:10001"]
    assert [word for word, _ in FINAL].index("USER") < [word for word, _ in FINAL].index("CMD")


def test_nothing_that_builds_is_in_what_is_shipped() -> None:
    shipped = " ".join(values(FINAL, "RUN"))

    assert "pip uninstall" in shipped
    assert "pip install" not in shipped
    assert "apt" not in shipped
    assert values(FINAL, "COPY") == ["--from=build /opt/vouch /opt/vouch"]
    assert "--without-pip" in " ".join(values(BUILD, "RUN"))


def test_no_instruction_could_leave_a_secret_in_a_layer() -> None:
    named = [value for word, value in instructions() if word in ("ARG", "ENV")]

    assert not [one for one in named if re.search(r"secret|password|token|_key", one, re.I)]
    assert not [word for word, _ in instructions() if word == "ADD"]


def test_what_is_copied_is_there_and_not_ignored() -> None:
    wanted = [one for line in values(BUILD, "COPY") for one in shlex.split(line)[:-1]]
    files = [str(one.relative_to(ROOT)) for one in ROOT.glob("*") if one.is_file()]
    files += [str(one.relative_to(ROOT)) for one in (ROOT / "config").rglob("*")]
    files += [f"{folder}/__init__.py" for folder in ("app", "migrations")]

    got = sent(files, ROOT / ".dockerignore")

    assert all((ROOT / one).exists() for one in wanted)
    assert all(any(path == one or path.startswith(f"{one}/") for path in got) for one in wanted)


@pytest.mark.parametrize("path", ["secrets/A", ".git/config", "var/vouch.db", "config/vouch.toml"])
def test_what_may_hold_a_secret_never_reaches_the_engine(path: str) -> None:
    assert sent([path], ROOT / ".dockerignore") == set()


def test_it_says_what_it_is() -> None:
    [labels] = values(FINAL, "LABEL")

    for name in ("title", "description", "licenses", "version", "revision"):
        assert f"org.opencontainers.image.{name}=" in labels


def probes() -> dict[str, list[str]]:
    [shipped] = values(FINAL, "HEALTHCHECK")
    services = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    return {
        "image": json.loads(shipped[shipped.index("CMD") + 4 :]),
        "web": services["web1"]["healthcheck"]["test"][1:],
        "worker": services["worker"]["healthcheck"]["test"][1:],
    }


@pytest.fixture(params=[200, 503])
def answering(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """A service and the status that it answers with."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path in ("/readyz", "/metrics")
            self.send_response(request.param if known else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_port, request.param
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["image", "web", "worker"])
def test_the_probe_tells_ready_from_not_ready(name: str, answering: tuple[int, int]) -> None:
    port, status = answering
    command = [re.sub(r"(?<=', )(8000|9100)", str(port), part) for part in probes()[name]]

    ended = subprocess.run([sys.executable, *command[1:]], capture_output=True, check=False)

    assert ended.returncode == (0 if status == 200 else 1), ended.stderr


@pytest.mark.parametrize("name", ["image", "web", "worker"])
def test_the_probe_fails_where_nothing_listens(name: str) -> None:
    command = [re.sub(r"(?<=', )(8000|9100)", "1", part) for part in probes()[name]]

    ended = subprocess.run([sys.executable, *command[1:]], capture_output=True, check=False)

    assert ended.returncode == 1
