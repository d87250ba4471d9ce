"""`vouch --help` explains itself: every command, and every option of it."""

from collections.abc import Iterator

import click
import pytest

from app.cli import COMMANDS, main, vouch
from tests.cli.conftest import Vouch

CONTEXT = click.Context(vouch)


def commands(group: click.Group, path: str = "vouch") -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(CONTEXT):
        command = group.get_command(CONTEXT, name)
        assert command is not None, f"{path} {name} is listed and not there"
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


EVERY = dict(commands(vouch))


@pytest.mark.parametrize("path", EVERY)
def test_every_command_says_what_it_does(path: str) -> None:
    told = (EVERY[path].help or "").split("\n")[0]

    assert told.endswith(".")


@pytest.mark.parametrize("path", EVERY)
def test_every_option_says_what_it_is_for(path: str) -> None:
    options = [p for p in EVERY[path].params if isinstance(p, click.Option)]

    silent = [option.name for option in options if not option.help]

    assert not silent


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_its_help(run: Vouch, name: str) -> None:
    result = run(name, "--help")

    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: vouch {name}")


def test_the_list_names_every_command(run: Vouch) -> None:
    listed = run("--help").stdout

    assert all(f"\n  {name} " in listed for name in COMMANDS)


def test_the_list_says_of_each_command_what_its_help_says_or_less(run: Vouch) -> None:
    for name, lazy in COMMANDS.items():
        full = (EVERY[f"vouch {name}"].help or "").split("\n\n")[0]

        assert len(lazy.summary) <= 70
        assert lazy.summary.split()[0].strip(",:") == full.split()[0].strip(",:")


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["atempts"], "attempts"),
        (["attempts", "lst"], "list"),
        (["attempts", "list", "--stat", "dead"], "--state"),
        (["attempts", "list", "--state", "grantd"], "granted"),
        (["verify", "twich"], "twitch"),
        (["keys", "create", "--name", "x", "--role", "admn"], "admin"),
    ],
)
def test_what_was_probably_meant_is_said(run: Vouch, arguments: list[str], meant: str) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert "did you mean" in result.stderr.lower()
    assert meant in result.stderr.lower().split("did you mean")[1]


def test_an_unknown_command_is_a_usage_error(run: Vouch) -> None:
    assert run("nonsense").exit_code == 2


def test_a_broken_configuration_is_told_place_by_place(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOUCH_SECRET_KEYS", "short")

    with pytest.raises(SystemExit) as left:
        main(["keys", "list"])

    assert left.value.code == 2
    assert capsys.readouterr().err == (
        "error: VOUCH_SECRET_KEYS: key 1 is shorter than 16 characters\n"
    )
