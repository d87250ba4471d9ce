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
LONGEST_ADAPTER = 150


def words(path: Path) -> Iterator[str]:
    """Every text of a module that is no docstring, and every name of its own."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.ImportFrom):
            yield from (node.module or "").split(".")


@pytest.mark.parametrize("path", [*MODULES, *MIGRATIONS], ids=lambda path: str(path.name))
def test_no_other_module_names_a_platform(path: Path) -> None:
    named = {word for word in words(path) if word in adapters()}

    assert not named


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_no_adapter_names_another_platform(path: Path) -> None:
    named = {word for word in words(path) if word in adapters()}

    assert named <= {OWN[path]}


def lengths() -> list[int]:
    return sorted(len(path.read_text("utf-8").splitlines()) for path in OWN)


def test_no_adapter_is_long() -> None:
    assert lengths()[-1] <= LONGEST_ADAPTER
