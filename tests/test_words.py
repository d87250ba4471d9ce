"""Docstrings are short and in plain words, and large dataclasses take keywords only."""

import ast
import dataclasses
import importlib
import inspect
import io
import pkgutil
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import app

ROOT = Path(__file__).parents[1]
MODULES = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("app/**/*.py"))
RIDDLES = re.compile(
    r"\b(whoever|whomever|anew|naught|told|let go|that which|of theirs|no fault of"
    r"|(comes?|came) by|is at it|stands (at|in|where|on|beside|behind|before))\b",
    re.IGNORECASE,
)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_what_it_is_for_in_one_or_two_lines(name: str) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / name).read_text("utf-8")))

    assert docstring, "no docstring"
    assert len(docstring.splitlines()) <= 2
    assert "?" not in docstring


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_and_comments_are_in_plain_words(name: str) -> None:
    source = (ROOT / name).read_text("utf-8")

    assert [text for text in prose(source) if RIDDLES.search(text)] == []


def prose(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield str(node.value.value)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def test_every_large_dataclass_takes_keywords_only() -> None:
    large = [kind for kind in dataclasses_of_app() if len(init_fields(kind)) > 3]

    positional = [
        f"{kind.__module__}.{kind.__qualname__}"
        for kind in large
        if not all(field.kw_only for field in init_fields(kind))
    ]

    assert len(large) > 50
    assert positional == []


def init_fields(kind: type) -> list[dataclasses.Field[object]]:
    return [field for field in dataclasses.fields(kind) if field.init]


def dataclasses_of_app() -> Iterator[type]:
    for found in pkgutil.walk_packages(app.__path__, "app."):
        if found.name == "app.__main__":
            continue
        module = importlib.import_module(found.name)
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if kind.__module__ == found.name and dataclasses.is_dataclass(kind):
                yield kind
