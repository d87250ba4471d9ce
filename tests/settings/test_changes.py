"""Is a reload told in words that are right, and hold no secret?"""

from app.settings.changes import MOST_TOLD, changes
from app.settings.configuration import load_configuration
from tests.conftest import WriteConfig

SECRET, OTHER = "a-secret-of-ours-1", "a-secret-of-ours-2"
VARIABLES = {"ONE": SECRET, "TWO": OTHER}
SOURCE = '[[sources]]\nname = "twitch"\nplatform = "twitch"\nsecrets = ["env:ONE"]\n'
RULE = '[[rules]]\nchallenge_id = 1\nsource = "twitch"\naction = "follow"\n'


def told(write_config: WriteConfig, before: str, after: str) -> list[str]:
    first = load_configuration(write_config(before), VARIABLES)
    second = load_configuration(write_config(after), VARIABLES)
    return changes(first, second)


def test_the_same_file_has_no_changes(write_config: WriteConfig) -> None:
    assert told(write_config, SOURCE + RULE, SOURCE + RULE) == []


def test_settings_are_told_with_both_values(write_config: WriteConfig) -> None:
    text = SOURCE + RULE

    found = told(write_config, text, text + "[gameball]\nper_second = 20\n")

    assert found == ["gameball.per_second: 30 -> 20"]


def test_rules_are_told_as_added_and_removed(write_config: WriteConfig) -> None:
    changed = RULE + 'hold = "1h"\nrepeat = "per_day"\ntarget = "1337"\nbar_after_undo = true\n'

    found = told(write_config, SOURCE + RULE, SOURCE + changed)

    more = "signed, per_day, hold 3600 s, bars after undo"
    assert found == [
        "rule removed: challenge 1 for follow on twitch (signed, once, hold 0 s)",
        f"rule added: challenge 1 for follow of 1337 on twitch ({more})",
    ]


def test_another_order_of_rules_is_told_for_the_first_wins(write_config: WriteConfig) -> None:
    other = RULE.replace("follow", "cheer")

    assert told(write_config, SOURCE + RULE + other, SOURCE + other + RULE) == [
        "rules: order changed"
    ]


def test_sources_are_told_by_their_names(write_config: WriteConfig) -> None:
    second = SOURCE.replace('"twitch"\np', '"twitch-eu"\np')

    assert told(write_config, SOURCE, SOURCE + second) == ["source added: twitch-eu"]
    assert told(write_config, SOURCE + second, SOURCE) == ["source removed: twitch-eu"]


def test_a_secret_that_changed_is_told_without_it(write_config: WriteConfig) -> None:
    found = told(write_config, SOURCE, SOURCE.replace("env:ONE", "env:TWO"))

    assert found == ["source twitch: secrets changed"]
    assert SECRET not in str(found)
    assert OTHER not in str(found)


def test_of_very_many_changes_the_first_are_told(write_config: WriteConfig) -> None:
    many = "".join(RULE.replace("= 1\n", f"= {i}\n") for i in range(2, 100))

    found = told(write_config, SOURCE + RULE, SOURCE + RULE + many)

    assert len(found) == MOST_TOLD + 1
    assert found[-1] == f"and {98 - MOST_TOLD} more"
