"""Does the service go on with gunicorn's own threads when gunicorn's insides have changed?"""

import ast
import importlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog.testing

from app.cli.commands.serve import gunicorn_settings
from app.server.gunicorn_insides import (
    FALLBACK,
    INSIDES,
    _set_by_itself,
    missing,
    usable_worker,
)
from app.settings.environment import Environment
from tests.hard.harness import TWITCH_SECRET, Web, configuration, free_port
from tests.hard.platform import follow, post

ROOT = Path(__file__).parents[2]
OURS = "app.server.callback_worker.CallbackWorker"
WORKERS = ("app/server/slow_clients.py", "app/server/callback_worker.py")
ALL = [(place, name) for place, names in INSIDES.items() for name in names]


def owner_of(place: str) -> object:
    module, _, kind = place.partition(":")
    owner = importlib.import_module(module)
    return getattr(owner, kind) if kind else owner


def test_the_installed_gunicorn_has_all_of_them() -> None:
    assert missing() == []
    assert usable_worker(OURS) == OURS


def holders(place: str, name: str) -> list[object]:
    """The owner and the classes above it that have the name themselves.

    None for what instances set: to take it away from the class would change nothing.
    """
    owner = owner_of(place)
    if isinstance(owner, type) and name in _set_by_itself(owner):
        return []
    above = owner.__mro__ if isinstance(owner, type) else [owner]
    return [one for one in above if name in vars(one)]


@pytest.mark.parametrize(("place", "name"), [one for one in ALL if holders(*one)])
def test_a_name_that_is_gone_is_found_and_gthread_serves(
    monkeypatch: pytest.MonkeyPatch, place: str, name: str
) -> None:
    for holder in holders(place, name):
        monkeypatch.delattr(holder, name)

    with structlog.testing.capture_logs() as logged:
        worker = usable_worker(OURS)

    assert f"{place}.{name}" in missing()
    assert worker == FALLBACK
    assert [one["event"] for one in logged] == ["web.worker_replaced"]
    assert f"{place}.{name}" in logged[0]["missing"]


def test_an_attribute_that_instances_no_longer_set_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind = owner_of("gunicorn.workers.gthread:ThreadWorker")
    monkeypatch.setattr(kind, "__init__", lambda _self: None)

    assert "gunicorn.workers.gthread:ThreadWorker.method_queue" in missing()


@pytest.mark.parametrize("worker_class", ["gthread", "sync", "shop.workers.Own", object])
def test_a_worker_of_the_operators_choice_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, worker_class: object
) -> None:
    monkeypatch.delattr("gunicorn.workers.gthread.STOP_KEEPALIVE_LINGER")

    assert usable_worker(worker_class) is worker_class


def test_ours_is_what_we_ship() -> None:
    assert gunicorn_settings(Environment(), None)["worker_class"] == OURS


# Does the table have everything that the workers use?


def trees() -> Iterator[ast.Module]:
    return (ast.parse((ROOT / one).read_text("utf-8")) for one in WORKERS)


def test_every_import_from_gunicorn_is_in_the_table() -> None:
    imported = {
        (node.module, alias.name)
        for tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gunicorn")
        for alias in node.names
    }

    assert imported <= set(ALL)


def test_every_attribute_that_is_gunicorns_is_in_the_table() -> None:
    """Of `self`, all that no class of ours in these files defines or sets."""
    used: set[str] = set()
    ours: set[str] = set()
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("self", "super()"):
                (ours if isinstance(node.ctx, ast.Store) else used).add(node.attr)
            if isinstance(node, ast.FunctionDef):
                ours.add(node.name)
    by_name = {name for _, name in ALL}

    assert used - ours - by_name - {"__init__"} == set()


def test_every_method_that_we_replace_is_in_the_table() -> None:
    from app.server.callback_worker import CallbackWorker
    from app.server.slow_clients import Connection

    for kind, place in (
        (CallbackWorker, "gunicorn.workers.gthread:ThreadWorker"),
        (Connection, "gunicorn.workers.gthread:TConn"),
    ):
        theirs = owner_of(place)
        ours = {
            name for one in kind.__mro__ if one.__module__.startswith("app.") for name in vars(one)
        }
        replaced = {name for name in ours if hasattr(theirs, name) and not name.startswith("__")}

        assert replaced <= set(INSIDES[place])


# For real.

CHANGED = """
import {module}
{change}
from app.cli import main
main()
"""


@pytest.mark.hard
@pytest.mark.parametrize(
    ("module", "change"),
    [
        # Names that gunicorn's own threads do without.
        ("gunicorn.sock", "del gunicorn.sock.ssl_context"),
        ("gunicorn.http.unreader", "del gunicorn.http.unreader.Unreader.take_buffered"),
    ],
)
def test_the_service_takes_callbacks_all_the_same(tmp_path: Path, module: str, change: str) -> None:
    (tmp_path / "changed.py").write_text(CHANGED.format(module=module, change=change), "utf-8")
    (tmp_path / "vouch.toml").write_text(configuration(), "utf-8")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(tmp_path),
        "DATABASE_URL": f"sqlite:///{tmp_path}/vouch.db",
        "TWITCH_SECRET": TWITCH_SECRET,
        "VOUCH_CONFIG": str(tmp_path / "vouch.toml"),
    }
    port, log = free_port(), tmp_path / "log"

    web = Web(port, ["serve", "--bind", f"127.0.0.1:{port}"], environment, log, "changed")
    try:
        web.wait_ready()
        statuses = [post(port, follow("event-1", "account-1")) for _ in range(2)]
        web.stop()
    finally:
        web.kill()

    logged = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    [replaced] = [one for one in logged if one["event"] == "web.worker_replaced"]
    assert statuses == [204, 204]
    assert (replaced["level"], replaced["worker"]) == ("warning", "gthread")
    assert [name for name in replaced["missing"] if name.rpartition(".")[2] in change]
