"""Is each bound in pyproject.toml one that was run, and each dependency bounded?"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
RUNTIME = [
    Requirement(one)
    for one in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["postgres"])
]


def pins(file: str) -> Mapping[str, Version]:
    lines = (ROOT / file).read_text("utf-8").splitlines()
    pairs = [line.split("==") for line in lines if "==" in line and not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def lower(requirement: Requirement) -> Version:
    [version] = [one.version for one in requirement.specifier if one.operator == ">="]
    return Version(version)


LOWEST = pins("constraints-lowest.txt")
USUAL = pins("constraints.txt")


def test_each_lower_bound_is_the_version_that_make_lowest_runs() -> None:
    bounds = {canonicalize_name(one.name): lower(one) for one in RUNTIME}

    assert {name: LOWEST.get(name) for name in bounds} == bounds


def test_what_runs_beside_them_is_as_usual() -> None:
    runtime = {canonicalize_name(one.name) for one in RUNTIME}

    assert {name: version for name, version in LOWEST.items() if name not in runtime}.items() <= (
        USUAL.items()
    )


def test_the_tests_usual_versions_are_within_the_bounds() -> None:
    usual = {one.name: USUAL[canonicalize_name(one.name)] for one in RUNTIME}

    assert [one for one in RUNTIME if not one.specifier.contains(usual[one.name])] == []


def test_ci_runs_the_lowest_versions() -> None:
    targets = re.search(r"for target in ([^;]*);", (ROOT / ".ci/run").read_text("utf-8"))

    assert targets is not None
    assert "lowest" in targets[1].split()
