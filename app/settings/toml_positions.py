"""Find the line of a mistake in the file."""

import re
from collections.abc import Sequence


def place(text: str, location: Sequence[int | str]) -> str:
    """Name a location such as ``("rules", 2, "action")`` as ``rules[2].action (line 31)``."""
    name = ""
    for step in location:
        name += f"[{step}]" if isinstance(step, int) else f".{step}" if name else step
    line = _line_of(text, location)
    return f"{name} (line {line})" if line else name


def _line_of(text: str, location: Sequence[int | str]) -> int | None:
    """Return the line of the key, or else of its table. TOML parsers keep no positions."""
    if not location:
        return None
    lines = text.splitlines()
    start = _table_start(lines, location)
    if start is None:
        return _key_line(lines, 0, str(location[0]))
    key = next((step for step in location[1:] if isinstance(step, str)), None)
    return (_key_line(lines, start, key) if key else None) or start


def _table_start(lines: Sequence[str], location: Sequence[int | str]) -> int | None:
    table = re.escape(str(location[0]))
    position = location[1] if len(location) > 1 and isinstance(location[1], int) else 0
    header = re.compile(rf"\s*\[\[?\s*{table}\s*\]\]?\s*(#.*)?$")
    starts = [number for number, line in enumerate(lines, 1) if header.match(line)]
    return starts[position] if position < len(starts) else None


def _key_line(lines: Sequence[str], start: int, key: str) -> int | None:
    for number, line in enumerate(lines[start:], start + 1):
        if re.match(rf"""\s*["']?{re.escape(key)}["']?\s*=""", line):
            return number
        if re.match(r"\s*\[", line):
            return None
    return None
