"""Prints the demo to the terminal."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest

import click

from app.cli.output import print_table, table_lines

_PATH_WIDTH = 40
_NAME_WIDTH = 18


class Output:
    """Prints numbered scenes as they run, and in verbose mode each call."""

    def __init__(self, *, is_verbose: bool = False) -> None:
        self.is_verbose = is_verbose
        self._scenes = 0

    def title(self, text: str, facts: Mapping[str, str]) -> None:
        click.secho(text, bold=True)
        click.echo()
        for name, fact in facts.items():
            self.fact(name, fact)

    def scene(self, text: str) -> None:
        self._scenes += 1
        if self.is_verbose or self._scenes == 1:
            click.echo()
        click.secho(f"{self._scenes}  {text}", bold=True)

    def call(self, method: str, path: str, status: int | None, words: str) -> None:
        if not self.is_verbose:
            return
        colour = "green" if status is not None and status < 300 else "yellow"
        shown = click.style(str(status or "-").rjust(3), fg=colour)
        click.echo(f"   {method:<4} {path:<{_PATH_WIDTH}} {shown}  {words}".rstrip())

    def note(self, text: str) -> None:
        click.echo(f"   -> {text}")

    def fact(self, name: str, text: str) -> None:
        """Print a fact on one line, however long, so that it can be copied."""
        click.echo(f"   {name:<{_NAME_WIDTH}}{text}")

    def table(
        self, title: str, columns: Sequence[str], rows: Sequence[Mapping[str, object]]
    ) -> None:
        self.heading(title)
        print_table(columns, rows, indent=3)

    def grid(self, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
        """Print a long narrow table as two halves side by side."""
        half = (len(rows) + 1) // 2
        lines = table_lines(columns, rows)
        head, left, right = lines[0], lines[1 : half + 1], lines[half + 1 :]
        width = max(map(len, lines)) + 6
        for first, second in zip_longest([head, *left], [head, *right], fillvalue=""):
            click.echo(f"   {first:<{width}}{second}".rstrip())

    def command(self, text: str) -> None:
        """Print a command that can be copied."""
        click.echo(f"   {text}")

    def promise(self, text: str, *, is_kept: bool) -> None:
        mark = click.style("kept", fg="green") if is_kept else click.style("BROKEN", fg="red")
        click.echo(f"   {mark}  {text}")

    def heading(self, text: str) -> None:
        click.echo()
        click.secho(text, bold=True)
        click.echo()
