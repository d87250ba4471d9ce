"""Print results for people, or as JSON for programs."""

import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from app.domain.clock import iso_utc

WIDTH = 96


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def print_json(value: object) -> None:
    # Print ASCII: payloads may contain lone surrogates, which cannot be encoded.
    click.echo(json.dumps(value, indent=2, default=_plain))


def print_table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], indent: int = 0) -> None:
    """Print rows under the names of their columns, as wide as they need."""
    for line in table_lines(columns, rows):
        click.echo(" " * indent + line)


def table_lines(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [list(columns), *cells]
    ]


def print_labelled(label: str, text: str, indent: int = 2, label_width: int = 10) -> None:
    """Print a label and its text, wrapped over as many lines as needed."""
    margin = " " * (indent + label_width)
    head = (" " * indent + label).ljust(len(margin) - 1) + " "
    for line in wrapped(text, WIDTH - len(margin)) or [""]:
        click.echo((head + line).rstrip())
        head = margin


def wrapped(text: str, width: int) -> list[str]:
    """Wrap a text at ``width``. Long words (URLs, keys) stay whole, so that they can be copied."""
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock(text: str) -> str:
    """Format a time of the API for a column: ``2026-12-01 15:32:51Z``."""
    return f"{text[:10]} {text[11:19]}Z"


def to_milliseconds(text: str) -> str:
    """Format a time of the API as `iso` does."""
    return f"{text[:23]}Z" if len(text) > 24 else text


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return iso(value) if isinstance(value, datetime) else str(value)


def _plain(value: object) -> str:
    return iso_utc(value) if isinstance(value, datetime) else str(value)
