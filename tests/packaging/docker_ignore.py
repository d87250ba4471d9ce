"""Which files does the Docker engine get, by the rules of `.dockerignore`?

https://docs.docker.com/build/concepts/context/#dockerignore-files
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath


def sent(paths: Iterable[str], dockerignore: Path) -> set[str]:
    """Those of ``paths``, relative to the folder of the build, that reach the engine."""
    rules = list(_rules(dockerignore.read_text("utf-8")))
    return {path for path in paths if _is_sent(path, rules)}


def _rules(text: str) -> Iterator[tuple[re.Pattern[str], bool]]:
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            yield _regex(line.strip().removeprefix("!").strip("/")), line.startswith("!")


def _is_sent(path: str, rules: list[tuple[re.Pattern[str], bool]]) -> bool:
    """The last rule that fits the file or a folder above it decides."""
    places = [path, *(str(folder) for folder in PurePosixPath(path).parents)]
    is_sent = True
    for pattern, allows in rules:
        if any(pattern.fullmatch(place) for place in places):
            is_sent = allows
    return is_sent


def _regex(pattern: str) -> re.Pattern[str]:
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return re.compile("".join(words.get(part, re.escape(part)) for part in parts))
