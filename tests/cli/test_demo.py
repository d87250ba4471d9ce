"""`vouch demo` shows everything, keeps its promises, and leaves nothing behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest
import requests

from app.cli.demo import scenario
from app.cli.demo.actors import Stage
from app.cli.demo.installation import Installation, install
from app.cli.demo.performance import wait
from app.cli.demo.process import ServiceProcess
from app.cli.demo.shop import Shop
from app.cli.sources import secrets_in
from app.platforms import adapters
from app.platforms.kit.examples import signing_keys
from app.settings.environment import VARIABLES
from tests.cli.conftest import PLATFORMS, Vouch, adapter_of

# One worker plays the demo once for all of these.
pytestmark = pytest.mark.xdist_group("demo")

ROOT = Path(__file__).parents[2]
# A shell that starts tests in the background makes them ignore Ctrl-C, and us with them.
PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from app.cli import main
main(sys.argv[1:])
"""
GAMEBALL = {
    "GAMEBALL_BASE_URL": "http://127.0.0.1:9",
    "GAMEBALL_API_KEY": "k",
    "GAMEBALL_SECRET_KEY": "s",
}


def demo(*options: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, "demo", *options]


def environment() -> dict[str, str]:
    """A real installation's variables, which the demo must not touch."""
    theirs = dict.fromkeys(VARIABLES, "somebody-elses")
    return {**os.environ, **theirs, "PYTHONPATH": str(ROOT)}


def match(pattern: str, told: str) -> str:
    found = re.search(pattern, told, re.M)
    assert found, told
    return found[1]


def address(told: str, name: str) -> str:
    return match(rf"^   {name} +(\S+?),", told)


def is_served(url: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@contextmanager
def running(*options: str, until: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A demo, and what it told until a line with ``until`` in it."""
    with subprocess.Popen(
        demo(*options), stdout=subprocess.PIPE, text=True, env=environment()
    ) as child:
        try:
            assert child.stdout is not None
            lines = []
            for line in child.stdout:
                lines.append(line)
                if until in line.lower():
                    break
            yield child, "".join(lines)
        finally:
            child.terminate()
            child.wait(20)


@pytest.fixture(scope="module")
def once() -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        demo("--once", "--verbose"),
        capture_output=True,
        text=True,
        timeout=110,
        env=environment(),
        check=False,
    )


def test_once_exits_by_itself_with_every_promise_kept(
    once: subprocess.CompletedProcess[str],
) -> None:
    assert once.returncode == 0, once.stdout + once.stderr
    assert once.stderr == ""
    assert "BROKEN" not in once.stdout
    assert "12 of 12 promises were kept" in once.stdout


def test_once_shows_what_was_sent_what_became_of_it_and_what_gameball_received(
    once: subprocess.CompletedProcess[str],
) -> None:
    told = once.stdout

    assert re.findall(r"PUT  /v1/identities/\S+ +201  ", told)
    for platform in PLATFORMS:
        source = adapter_of(platform).source.name
        statuses = re.findall(rf"POST /webhooks/{source} +(\d+)  ", told)
        assert str(adapters()[platform].accepted.status) in statuses
        assert str(adapters()[platform].forged_status) in statuses
    for state in ("granted", "not_granted", "duplicate"):
        assert re.search(rf"^   {state} +(ann|bob|carl) ", told, re.M)
    submissions = re.findall(r"^   [\d:.]+ +(?:ann|bob|carl) +\d+ +202 .* points", told, re.M)
    assert len(submissions) == len(PLATFORMS) + 3
    assert f"each of the {len(submissions)} awards is granted exactly once" in told


def test_without_verbose_it_fits_a_screen_and_names_every_platform() -> None:
    told = subprocess.run(
        demo("--once"), capture_output=True, text=True, timeout=110, env=environment(), check=True
    ).stdout

    assert len(told.splitlines()) <= 55
    assert all(len(line) <= 100 for line in told.splitlines())
    assert "12 of 12 promises were kept" in told
    assert "WebSub wants a 2xx also for a forged delivery" in told
    for platform in PLATFORMS:
        assert re.search(rf"\b{platform} +\d{{3}} +\d{{3}} +\d{{3}}", told)


def test_once_is_readable_in_a_terminal(once: subprocess.CompletedProcess[str]) -> None:
    assert all(len(line) <= 100 for line in once.stdout.splitlines())
    assert "\x1b" not in once.stdout


def test_once_leaves_nothing_behind(once: subprocess.CompletedProcess[str]) -> None:
    assert not Path(match(r"^   folder +(\S+):", once.stdout)).exists()
    assert not is_served(address(once.stdout, "Vouch"))
    assert not is_served(address(once.stdout, "Gameball"))


def test_it_keeps_running_for_whoever_wants_to_try_more_until_ctrl_c(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    with running("--dir", str(folder), until="--count 500") as (child, told):
        url = address(told, "Vouch")
        for name in ("VOUCH_CONFIG", "VOUCH_URL", "VOUCH_KEY"):
            monkeypatch.setenv(name, match(rf"export {name}=(\S+)", told))
        command = match(r"vouch (send \S+ \S+ --url \S+) --actor ann-1", told)
        sent = run(*command.split(), "--actor", "somebody-new")
        history = json.loads(run("attempts", "list", "--json").stdout)
        pages = [requests.get(page, timeout=5) for page in re.findall(rf"{url}/\w+$", told, re.M)]

        child.send_signal(signal.SIGINT)

        assert child.wait(20) == 0
    assert sent.exit_code == 0
    assert history["items"][0]["accountId"] == "somebody-new"
    assert pages
    assert all(page.status_code == 200 for page in pages)
    assert not is_served(url)
    assert not is_served(address(told, "Gameball"))
    assert {path.name for path in folder.iterdir()} >= {"vouch.toml", "vouch.db", "service.log"}


def test_it_leaves_nothing_behind_when_it_is_ended_in_the_middle() -> None:
    with running(until="every platform") as (child, told):
        child.send_signal(signal.SIGTERM)

        assert child.wait(20) == 143
    assert not is_served(address(told, "Vouch"))
    assert not is_served(address(told, "Gameball"))
    assert not Path(match(r"folder +(\S+):", told)).exists()


def test_a_service_that_ends_by_itself_is_told(tmp_path: Path) -> None:
    service = ServiceProcess({}, tmp_path)
    service.log.write_text("the reason", "utf-8")

    with pytest.raises(click.ClickException, match="ended by itself") as told:
        wait(service)

    assert "the reason" in told.value.message


@pytest.fixture
def _no_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that is said to be there, for what happens when it is not as it should be."""

    def start(service: ServiceProcess) -> None:
        service.log.write_text("the last words", "utf-8")

    monkeypatch.setattr(ServiceProcess, "start", start)


@pytest.mark.usefixtures("_no_service")
def test_a_broken_promise_is_told_and_fails_the_command(
    run: Vouch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(stage: Stage) -> None:
        """Something goes wrong"""
        stage.promise("nothing goes wrong", is_kept=False)

    monkeypatch.setattr(scenario, "SCENES", (breaks,))
    monkeypatch.setattr(Shop, "attempts", lambda *_, **__: [])

    result = run("demo", "--once")

    assert result.exit_code == 1
    assert "BROKEN  nothing goes wrong" in result.stdout
    assert "0 of 1 promises were kept" in result.stdout
    assert "the last words" in result.stderr


@pytest.mark.usefixtures("_no_service")
def test_a_service_that_stops_answering_is_told_and_fails_the_command(run: Vouch) -> None:
    result = run("demo", "--once")

    assert result.exit_code == 1
    assert "the service stopped answering: ConnectionError" in result.stderr
    assert "the last words" in result.stderr


def test_a_port_that_is_taken_is_an_error(run: Vouch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        result = run("demo", "--once", "--port", str(port))

    assert result.exit_code == 1
    assert f"the port {port} is taken" in result.stderr


def test_a_folder_with_something_in_it_is_left_alone(run: Vouch, tmp_path: Path) -> None:
    (tmp_path / "mine").touch()

    result = run("demo", "--once", "--dir", str(tmp_path))

    assert result.exit_code == 2
    assert "is not empty" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_service_that_cannot_start_says_why(tmp_path: Path) -> None:
    service = ServiceProcess({**os.environ, "VOUCH_CONFIG": "nowhere.toml"}, tmp_path)

    with pytest.raises(click.ClickException, match="did not start") as told, service:
        pass

    assert "nowhere.toml: cannot be read" in told.value.message
    assert not service.is_running


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    for name in VARIABLES:
        monkeypatch.setenv(name, "somebody-elses")
        monkeypatch.setenv(f"{name}_FILE", "somebody-elses")
    return install(tmp_path, GAMEBALL)


def test_the_installation_rewards_something_on_every_platform(installation: Installation) -> None:
    assert sorted(offer.adapter.name for offer in installation.offers) == PLATFORMS
    for offer in installation.offers:
        assert offer.rule.action == offer.template.expect[0]["action"]
        assert not any(event.get("undone") for event in offer.template.expect)
    rules = [installation.claimed, *(offer.rule for offer in installation.offers)]
    assert len({rule.challenge_id for rule in rules}) == len(PLATFORMS) + 1


def test_what_no_terms_speak_against_is_shown_first(installation: Installation) -> None:
    spoken_against = [bool(offer.adapter.terms) for offer in installation.offers]

    assert spoken_against == sorted(spoken_against)


def test_the_installation_uses_nothing_of_a_real_one(installation: Installation) -> None:
    assert "somebody-elses" not in installation.variables.values()
    assert not any(name.endswith("_FILE") for name in installation.variables if name in VARIABLES)
    assert {name: installation.variables[name] for name in GAMEBALL} == GAMEBALL


def test_the_installations_secrets_are_its_own(installation: Installation) -> None:
    # Of a key pair only the halves of our examples are known: those stay.
    for offer in (one for one in installation.offers if not signing_keys(one.adapter.name)):
        own = secrets_in(offer.adapter.source)["secrets"]
        public = secrets_in(adapter_of(offer.adapter.name).source)["secrets"]
        assert set(own).isdisjoint(public)
        assert [len(one) for one in own] == [len(one) for one in public]


def test_the_installation_stays_in_its_folder(installation: Installation, tmp_path: Path) -> None:
    assert {path.name for path in tmp_path.iterdir()} >= {"vouch.toml", "vouch.db", "secrets"}
    assert oct((tmp_path / "secrets").stat().st_mode)[-3:] == "700"
    told = repr(installation)
    assert installation.key not in told
    assert installation.variables["VOUCH_SECRET_KEYS"] not in told
