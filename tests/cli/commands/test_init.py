"""`vouch init` writes a configuration that is right, and no secret."""

from pathlib import Path

from app.cli.commands.init import _actions
from app.platforms import adapters
from app.settings.configuration import load_configuration
from tests.cli.conftest import Vouch, any_platform

ALL = ("--platform", "twitch", "--action", "follow", "--challenge", "7")


def test_it_writes_what_the_service_takes_without_a_secret(run: Vouch, tmp_path: Path) -> None:
    result = run("init", *ALL, "--secret-name", "MINE", "--target", "1337")

    path = tmp_path / "config/vouch.toml"
    configuration = load_configuration(path, {"MINE": "a-secret-of-mine"})
    assert result.exit_code == 0, result.output
    assert "set MINE" in result.stdout
    assert (configuration.rules[0].challenge_id, configuration.rules[0].target) == (7, "1337")
    assert list(configuration.sources) == ["twitch"]


def test_it_asks_for_what_was_not_given(run: Vouch, tmp_path: Path) -> None:
    result = run("init", "--file", "mine.toml", stdin="twitch\nfollow\n7\n")

    assert result.exit_code == 0, result.output
    assert load_configuration(tmp_path / "mine.toml", {"TWITCH_SECRET": "a-secret-of-mine"})


def test_a_file_that_is_there_is_left_as_it_is(run: Vouch, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("mine", "utf-8")

    result = run("init", *ALL, "--file", str(path))

    assert result.exit_code == 1
    assert path.read_text("utf-8") == "mine"


def test_a_secret_in_place_of_its_name_is_refused_and_not_shown(run: Vouch) -> None:
    result = run("init", *ALL, "--secret-name", "s3cr3t-itself")

    assert result.exit_code == 2
    assert "s3cr3t-itself" not in result.output


@any_platform
def test_every_platform_can_be_begun_with(run: Vouch, tmp_path: Path, platform: str) -> None:
    action = _actions(adapters()[platform])[0]

    result = run(
        "init", "--platform", platform, "--action", action, "--challenge", "7", stdin="\n" * 20
    )

    assert result.exit_code == 0, result.output
    assert f"/webhooks/{platform}" in result.stdout
