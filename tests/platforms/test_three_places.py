"""A platform's name stands in its module, its examples and its configuration, and nowhere else."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import app
from app.platforms import adapters

ROOT = Path(app.__file__).parents[1]
OWN = {ROOT / "app/platforms" / f"{name.replace('-', '_')}.py": name for name in adapters()}
MODULES = [path for path in sorted((ROOT / "app").rglob("*.py")) if path not in OWN]
MIGRATIONS = sorted((ROOT / "migrations").rglob("*.py"))
LONGEST_ADAPTER = 190


# Words that mean something else as well: a web process's threads, who is woken (by Slack), and whom
# we forward to.
AMBIGUOUS = {"threads", "line", "x", "meta", "kick", "hmac", "slack", "gameball"}
ADAPTERS = {kind.__module__ for kind in adapters().values()}


def named(path: Path) -> Iterator[str]:
    """The platforms that a module names, and the adapters that it imports."""
    platforms = set(adapters()) - AMBIGUOUS
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and node.value in platforms:
            yield str(node.value)
        elif isinstance(node, ast.ImportFrom) and node.module in ADAPTERS:
            yield node.module


def test_no_other_module_names_a_platform() -> None:
    found = {str(path.relative_to(ROOT)): [*named(path)] for path in (*MODULES, *MIGRATIONS)}

    assert not {path: names for path, names in found.items() if names}


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_no_adapter_names_another_platform(path: Path) -> None:
    assert {*named(path)} <= {OWN[path]}


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_no_adapter_is_long(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST_ADAPTER
