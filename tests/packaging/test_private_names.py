"""Which private names of other libraries do we use, and in which file?

Any release may change them. A library that is named here has an upper bound in pyproject.toml.
"""

import ast
import importlib
import inspect
from collections.abc import Iterator

import psycopg
import pytest

from app.server.gunicorn_insides import INSIDES, missing
from tests.packaging.test_bounds import ROOT, RUNTIME

# File, module or class, name. For gunicorn's undocumented names without an underscore too:
# app/server/gunicorn_insides.py, which the service looks through when it starts.
PRIVATE = {
    ("app/server/slow_clients.py", "gunicorn.http.message:Request", "_expected_100_continue"),
    ("app/server/slow_clients.py", "gunicorn.workers.gthread:ThreadWorker", "_cap_keepalive"),
    ("app/server/slow_clients.py", "gunicorn.workers.gthread:ThreadWorker", "_keepalive_after"),
    ("app/storage/timeouts.py", "psycopg.errors", "_WaitTimeout"),
}
# Modules that are in no documentation.
UNDOCUMENTED = {
    ("app/shared_metrics.py", "prometheus_client.mmap_dict", "MmapedDict"),
}
# Documented in spite of their underscore.
PUBLIC = {"_asdict", "_fields", "_get_current_object", "_mapping"}


LIBRARIES = {one.name.replace("-", "_") for one in RUNTIME} | {"werkzeug"}


def owner_of(place: str) -> object:
    module, _, kind = place.partition(":")
    owner = importlib.import_module(module)
    return getattr(owner, kind) if kind else owner


@pytest.mark.parametrize(("file", "place", "name"), sorted(PRIVATE | UNDOCUMENTED))
def test_it_is_there_and_used(file: str, place: str, name: str) -> None:
    assert hasattr(owner_of(place), name)
    assert name in (ROOT / file).read_text("utf-8")


def test_gunicorns_are_all_there() -> None:
    private = {(place, name) for _, place, name in PRIVATE if place.startswith("gunicorn")}

    assert missing() == []
    assert private == {
        (place, name) for place, names in INSIDES.items() for name in names if name[0] == "_"
    }


def test_the_driver_waits_no_longer_than_it_is_asked_to() -> None:
    """psycopg before 3.3.6 has no such argument."""
    assert "timeout" in inspect.signature(psycopg.Connection.wait).parameters


@pytest.mark.parametrize("name", ["gunicorn", "psycopg", "prometheus-client"])
def test_their_libraries_have_an_upper_bound(name: str) -> None:
    [requirement] = [one for one in RUNTIME if one.name == name]

    assert [one.operator for one in requirement.specifier if one.operator == "<"] == ["<"]


def test_no_other_library_is_named_here() -> None:
    bounded = {one.name.replace("-", "_") for one in RUNTIME if "<" in str(one.specifier)}

    assert {place.split(".")[0] for _, place, _ in PRIVATE | UNDOCUMENTED} == bounded


def test_no_other_private_name_is_used() -> None:
    files = {file: ast.parse(file.read_text("utf-8")) for file in (ROOT / "app").rglob("*.py")}
    ours = {name for tree in files.values() for name in _defined(tree)}

    used = {
        (str(file.relative_to(ROOT)), name)
        for file, tree in files.items()
        for name in _used(tree)
        if name not in ours | PUBLIC
    }

    assert used <= {(file, name) for file, _, name in PRIVATE}


def test_no_other_private_method_is_replaced() -> None:
    found = set()
    for kind in _classes():
        theirs = [one for one in kind.__mro__ if one.__module__.split(".")[0] in LIBRARIES]
        for name, value in vars(kind).items():
            is_private = name.startswith("_") and not name.startswith("__")
            if callable(value) and is_private and any(name in vars(one) for one in theirs):
                found.add((kind.__module__.replace(".", "/") + ".py", name))

    assert found <= {(file, name) for file, _, name in PRIVATE}
    assert ("app/server/slow_clients.py", "_cap_keepalive") in found


def _classes() -> Iterator[type]:
    for file in (ROOT / "app").rglob("*.py"):
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        if not name.endswith("__main__"):
            module = importlib.import_module(name.removesuffix(".__init__"))
            yield from (
                one
                for one in vars(module).values()
                if isinstance(one, type) and one.__module__ == module.__name__
            )


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _used(tree: ast.Module) -> Iterator[str]:
    """Private attributes, of whatever; and what is imported from others' modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is_private(node.attr):
            yield node.attr
        if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("app"):
            yield from (one.name for one in node.names if _is_private(one.name))
            yield from filter(_is_private, (node.module or "").split("."))


def _defined(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        # What is set on something else may be another library's.
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                yield name
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("app"):
            yield from (one.name for one in node.names)
