"""Command groups and choices that suggest the closest word after a typo."""

import importlib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem


class Lazy(NamedTuple):
    """A command that is imported when called. ``summary`` is the first line of its help."""

    module: str
    summary: str


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `` Did you mean x?``, or an empty string if no known word is close."""
    close = get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]}?" if close else ""


class Group(click.Group):
    """A group that suggests the closest command for an unknown one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        is_option = not name[:1].isalnum()
        if not is_option and not ctx.resilient_parsing and name not in self.list_commands(ctx):
            hint = did_you_mean(name, self.list_commands(ctx))
            raise click.UsageError(f"No such command {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


class LazyGroup(Group):
    """A group that lists its commands without importing them."""

    def __init__(self, *args: Any, lazy: Mapping[str, Lazy], **options: Any) -> None:
        super().__init__(*args, **options)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self.lazy:
            return None
        command: click.Command = importlib.import_module(self.lazy[cmd_name].module).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.summary) for name, lazy in self.lazy.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        options = click.Command.shell_complete(self, ctx, incomplete)
        found = [
            CompletionItem(name, help=lazy.summary)
            for name, lazy in self.lazy.items()
            if name.startswith(incomplete)
        ]
        return [*found, *options]


class Choice(click.Choice):  # type: ignore[type-arg,unused-ignore]
    """A choice that suggests the closest word for an unknown one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        known = [str(choice) for choice in self.choices]
        if isinstance(value, str) and value not in known:
            self.fail(unknown_word(value, known), param, ctx)
        return super().convert(value, param, ctx)


class Words(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """One or more known words, separated by commas. The value is passed on unchanged."""

    name = "words"

    def __init__(self, known: Iterable[str]) -> None:
        self.known = tuple(map(str, known))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        for word in str(value).split(","):
            if word not in self.known:
                self.fail(unknown_word(word, self.known), param, ctx)
        return value

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",")
        return [CompletionItem(before + comma + w) for w in self.known if w.startswith(last)]


def unknown_word(word: str, known: Iterable[str]) -> str:
    hint = did_you_mean(word, known)
    return f"{word!r} is none of {', '.join(known)}.{hint}"
