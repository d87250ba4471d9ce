"""Is what compose.yaml starts hardened, watched, and given its secrets as files?"""

import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from app.cli import vouch
from app.cli.commands.serve import gunicorn_settings
from app.settings.environment import VARIABLES, read_environment
from app.settings.sections import FileModel

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
EVERY: dict[str, dict[str, Any]] = COMPOSE["services"]
SERVICES = {name: one for name, one in EVERY.items() if "profiles" not in one}
# `--profile demo`, for looking at it: no secret of theirs is one.
DEMO = {name: one for name, one in EVERY.items() if one.get("profiles") == ["demo"]}
OURS = {name: one for name, one in SERVICES.items() if one["image"].startswith("vouch:")}
NGINX = (ROOT / "config/proxy/nginx.conf").read_text("utf-8")
UPSTREAM = (ROOT / "config/proxy/upstream.conf").read_text("utf-8")
SECRET_WORDS = re.compile(r"key|secret|password|token|database_url", re.IGNORECASE)

every_service = pytest.mark.parametrize("name", SERVICES)


def seconds(text: str) -> int:
    assert text.endswith("s")
    return int(text[:-1])


def listed(service: dict[str, Any], key: str) -> list[Any]:
    return list(service.get(key, []))


def test_it_starts_a_proxy_two_web_two_workers_and_postgres() -> None:
    commands = [
        (one["command"][0], one.get("deploy", {}).get("replicas", 1)) for one in OURS.values()
    ]

    assert sum(n for command, n in commands if command == "serve") == 2
    assert sum(n for command, n in commands if command == "work") == 2
    assert {"proxy", "postgres"} == set(SERVICES) - set(OURS)


@every_service
def test_nobody_is_root(name: str) -> None:
    user, _, group = SERVICES[name]["user"].partition(":")

    assert (user.isdigit(), user == "0") == (True, False)
    assert (group.isdigit(), group == "0") == (True, False)


@every_service
def test_nothing_but_what_is_named_can_be_written_and_no_right_be_gained(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    mounts = [one for one in listed(service, "volumes") if one.startswith(".")]
    assert all(one.endswith(":ro") for one in mounts)


@every_service
def test_each_is_watched_or_runs_once(name: str) -> None:
    service = SERVICES[name]
    if service["restart"] == "no":
        assert service["healthcheck"] == {"disable": True}
        return

    assert service["restart"] == "unless-stopped"
    assert {"test", "interval", "timeout", "retries"} <= set(service["healthcheck"])
    assert service["healthcheck"]["test"][0] == "CMD"


@every_service
def test_none_can_take_the_whole_machine(name: str) -> None:
    limits = SERVICES[name]["deploy"]["resources"]["limits"]

    assert set(limits) == {"cpus", "memory", "pids"}


@every_service
def test_secrets_come_as_files_and_only_to_whom_they_were_given(name: str) -> None:
    service = SERVICES[name]
    given = set(listed(service, "secrets"))
    environment = service.get("environment", {})

    for variable, value in environment.items():
        if SECRET_WORDS.search(variable):
            assert variable.endswith("_FILE"), f"{variable} holds a secret"
            assert value.startswith("/run/secrets/")
        if str(value).startswith("/run/secrets/"):
            assert value.removeprefix("/run/secrets/") in given
    assert given <= set(COMPOSE["secrets"])


def test_every_secret_is_a_file_that_somebody_is_given_and_git_never_sees() -> None:
    given = {secret for one in SERVICES.values() for secret in listed(one, "secrets")}

    assert given == set(COMPOSE["secrets"])
    assert all(one == {"file": f"./secrets/{name}"} for name, one in COMPOSE["secrets"].items())
    assert "secrets/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()


@every_service
def test_images_are_named_with_their_version(name: str) -> None:
    _, _, tag = SERVICES[name]["image"].partition(":")

    assert tag
    assert tag != "latest"


def test_only_the_proxy_can_be_reached_and_the_database_reaches_nobody() -> None:
    assert [name for name, one in SERVICES.items() if "ports" in one] == ["proxy"]
    assert COMPOSE["networks"]["data"] == {"internal": True}
    assert set(SERVICES["postgres"]["networks"]) == {"data"}
    assert set(SERVICES["proxy"]["networks"]) == {"edge"}


@pytest.mark.parametrize("name", OURS)
def test_what_is_called_is_a_command_of_ours(name: str) -> None:
    arguments = OURS[name]["command"]
    context = click.Context(vouch)
    command: click.Command = vouch
    while isinstance(command, click.Group):
        found = command.get_command(context, arguments[0])
        assert found is not None
        command, arguments = found, arguments[1:]

    command.make_context(command.name, list(arguments))


@pytest.mark.parametrize("name", OURS)
def test_our_variables_exist(name: str) -> None:
    # That of the example's only source, too.
    known = {*VARIABLES, "TWITCH_SECRET"}

    assert {one.removesuffix("_FILE") for one in OURS[name]["environment"]} <= known


@pytest.mark.parametrize("name", [one for one in OURS if one != "migrate"])
def test_ours_wait_for_the_migration_and_are_given_time_to_end(name: str) -> None:
    service = OURS[name]
    settings = gunicorn_settings(read_environment({}), None)

    assert service["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert seconds(service["stop_grace_period"]) > settings["graceful_timeout"]


def test_the_proxy_finds_both_web_services_where_they_are() -> None:
    addresses = {
        network["ipv4_address"]
        for one in SERVICES.values()
        for network in one["networks"].values()
        if network
    }

    assert len(addresses) == 2
    assert set(re.findall(r"server ([\d.]+):8000", UPSTREAM)) == addresses
    assert all("0.0.0.0:8000" in one["command"] for n, one in OURS.items() if n.startswith("web"))


def test_the_proxy_gives_up_a_connection_before_the_service_does() -> None:
    [idle] = re.findall(r"keepalive_timeout (\d+)s", UPSTREAM)

    assert int(idle) < gunicorn_settings(read_environment({}), None)["keepalive"]


def test_the_proxy_leaves_it_to_the_service_to_call_a_callback_too_large() -> None:
    [most] = re.findall(r"client_max_body_size (\d+)m;", NGINX)

    assert int(most) << 20 > FileModel().web.max_callback_bytes


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/metrics/", "/readyz/x"])
def test_the_proxy_keeps_what_needs_no_key_inside(path: str) -> None:
    inside = re.findall(r"location ~ (\S+) { return 404; }", NGINX)

    assert any(re.search(pattern, path) for pattern in inside)


def test_no_proxy_on_this_machine_may_name_another_path_than_it_asks_for() -> None:
    """Most pass on SCRIPT_NAME as a stranger sent it: /x/metrics would be served as /metrics."""
    settings = gunicorn_settings(read_environment({}), None)

    assert settings["forwarder_headers"] == ""


def test_the_proxy_logs_no_query() -> None:
    """Meta's verify token stands in one."""
    [words] = re.findall(r"log_format plain '([^']*)'", NGINX)

    assert not {"$request", "$request_uri", "$args", "$query_string"} & set(words.split())
    assert re.findall(r"access_log ([^;]*);", NGINX) == ["/dev/stdout plain", "off"]


def test_every_file_that_is_mounted_is_there_or_made_by_the_operator() -> None:
    mounted = {
        one.split(":")[0] for s in SERVICES.values() for one in listed(s, "volumes") if "./" in one
    }

    missing = {one for one in mounted if not (ROOT / one).exists()}
    assert missing <= {"./config/vouch.toml"}
