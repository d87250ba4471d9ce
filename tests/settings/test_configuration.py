"""Does the file say what it says, and is every mistake in it named with its place?"""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.evidence import Evidence
from app.domain.rules import Repeat, Rule
from app.settings.configuration import Configuration, load_configuration
from app.settings.errors import ConfigurationError, Mistake
from tests.conftest import WriteConfig

SECRET = "a-secret-of-twitch"
OTHER_SECRET = "the-secret-before-it"
VARIABLES = {"TWITCH_SECRET": SECRET, "OLD_SECRET": OTHER_SECRET, "EMPTY": " "}

# PRODUCT's own example: a pushed rule and one that is only earned by claims.
EXAMPLE = """\
[[sources]]
name = "twitch"                           # -> /webhooks/twitch
platform = "twitch"
secrets = ["env:TWITCH_SECRET"]           # a list: old and new during a rotation

[[rules]]
challenge_id = 11664
source = "twitch"
action = "follow"
target = "1337"                           # optional: any target when left out
evidence = "signed"                       # the least that is accepted
repeat = "once"
hold = "0s"

[[rules]]                                 # no source: nothing pushes this one
challenge_id = 11700
platform = "instagram"
action = "follow"
evidence = "claimed"
repeat = "once"
hold = "24h"
"""
SOURCE = '[[sources]]\nname = "twitch"\nplatform = "twitch"\nsecrets = ["env:TWITCH_SECRET"]\n'
RULE = '[[rules]]\nchallenge_id = 1\nsource = "twitch"\naction = "follow"\n'


def mistakes_in(path: Path) -> list[Mistake]:
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(path, VARIABLES)
    for secret in (SECRET, OTHER_SECRET):
        assert secret not in str(caught.value)
        assert secret not in repr(caught.value)
    return list(caught.value.mistakes)


@pytest.mark.parametrize(("line", "bars"), [("", False), ("bar_after_undo = true\n", True)])
def test_a_rule_bars_nobody_unless_it_says_so(
    write_config: WriteConfig, line: str, bars: bool
) -> None:
    configuration = load_configuration(write_config(SOURCE + RULE + line), VARIABLES)

    assert [rule.bar_after_undo for rule in configuration.rules] == [bars]


def test_the_products_example_is_right(write_config: WriteConfig) -> None:
    configuration = load_configuration(write_config(EXAMPLE), VARIABLES)

    assert configuration.rules == (
        Rule(
            challenge_id=11664,
            platform="twitch",
            action="follow",
            source="twitch",
            target="1337",
            evidence=Evidence.SIGNED,
            repeat=Repeat.ONCE,
            hold_seconds=0,
        ),
        Rule(
            challenge_id=11700,
            platform="instagram",
            action="follow",
            source=None,
            target=None,
            evidence=Evidence.CLAIMED,
            repeat=Repeat.ONCE,
            hold_seconds=86_400,
        ),
    )
    assert list(configuration.sources) == ["twitch"]
    assert configuration.sources["twitch"].source.keys_of() == (SECRET.encode(),)


def test_an_empty_file_is_right_and_has_every_default(write_config: WriteConfig) -> None:
    configuration = load_configuration(write_config(""), {})

    assert (configuration.sources, configuration.rules) == ({}, ())
    gameball = configuration.gameball
    assert (gameball.per_second, gameball.per_30_seconds) == (30, 360)
    assert (gameball.window_at_least, gameball.window_at_most) == (30, 900)
    assert gameball.create_missing_customers is False
    assert gameball.policy().schedules["retry"][0] == 2


def test_every_schedule_that_an_outcome_names_is_in_the_policy(write_config: WriteConfig) -> None:
    text = (
        '[gameball]\nretry_delays = ["1s"]\nmissing_customer_delays = ["2m"]\n'
        'busy_delays = ["3h"]\necho_delays = ["4d"]\njitter = 0\n'
    )

    policy = load_configuration(write_config(text), {}).gameball.policy()

    firsts = {name: policy.next_delay(name, 0) for name in policy.schedules}
    assert firsts == {"retry": 1, "missing_customer": 120, "busy": 10_800, "echo": 345_600}


def test_no_secret_is_shown_when_a_configuration_is_printed(write_config: WriteConfig) -> None:
    configuration = load_configuration(write_config(EXAMPLE), VARIABLES)

    shown = repr(configuration) + repr(configuration.sources["twitch"].source)

    assert SECRET not in shown
    assert "twitch" in shown


def test_every_secret_of_a_rotation_is_read_in_its_order(write_config: WriteConfig) -> None:
    text = SOURCE.replace('"env:TWITCH_SECRET"', '"env:TWITCH_SECRET", "env:OLD_SECRET"')

    configuration = load_configuration(write_config(text), VARIABLES)

    assert configuration.sources["twitch"].source.keys_of() == (
        SECRET.encode(),
        OTHER_SECRET.encode(),
    )


def test_a_secret_in_a_file_is_found_beside_the_configuration(
    write_config: WriteConfig, tmp_path: Path
) -> None:
    (tmp_path / "twitch.secret").write_text(f"{SECRET}\n")
    path = write_config(SOURCE.replace("env:TWITCH_SECRET", "file:twitch.secret"))

    configuration = load_configuration(path, {})

    assert configuration.sources["twitch"].source.keys_of() == (SECRET.encode(),)


def test_a_secret_of_the_environment_may_be_in_the_file_that_its_file_variable_names(
    write_config: WriteConfig, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").write_text("a-secret-of-tests\n", "utf-8")
    path = write_config(
        '[[sources]]\nname = "twitch"\nplatform = "twitch"\nsecrets = ["env:TWITCH_SECRET"]\n'
    )
    variables = {"TWITCH_SECRET_FILE": str(tmp_path / "elsewhere")}

    configuration = load_configuration(path, variables)

    assert list(configuration.sources) == ["twitch"]
    with pytest.raises(ConfigurationError, match="both TWITCH_SECRET and TWITCH_SECRET_FILE"):
        load_configuration(path, {**variables, "TWITCH_SECRET": "another-one"})


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (f'["{SECRET}"]', "write a secret as env:NAME or file:PATH, never the secret itself"),
        ('["env:"]', "write a secret as env:NAME or file:PATH, never the secret itself"),
        ('["env:NOT_SET"]', "the environment variable NOT_SET is not set or empty"),
        ('["env:EMPTY"]', "the environment variable EMPTY is not set or empty"),
        ('["file:nowhere"]', "the file nowhere cannot be read: FileNotFoundError"),
        ('["file:junk"]', "the file junk cannot be read: UnicodeDecodeError"),
        ('["file:empty"]', "the file empty is empty"),
        ("[5]", "Input should be a valid string"),
        (f'"{SECRET}"', 'write a list: ["…"]'),
        ("[]", "Tuple should have at least 1 item after validation, not 0"),
    ],
)
def test_a_secret_is_only_ever_referred_to(
    write_config: WriteConfig, tmp_path: Path, written: str, problem: str
) -> None:
    (tmp_path / "junk").write_bytes(b"\xff\xfe")
    (tmp_path / "empty").write_text(" \n")

    found = mistakes_in(write_config(SOURCE.replace('["env:TWITCH_SECRET"]', written)))

    assert [mistake.problem for mistake in found] == [problem]
    assert re.fullmatch(r"sources\[0\]\.secrets(\[0\])? \(line 4\)", found[0].place)


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        pytest.param(
            'webb = 1\n[web]\nmax_callback_bytes = "x"\n',
            "webb (line 1)",
            "is not a setting here; did you mean web?",
            id="unknown top-level key",
        ),
        pytest.param(
            "[web]\ntrusted_proxy = 1\n",
            "web.trusted_proxy (line 2)",
            "is not a setting here; did you mean trusted_proxies?",
            id="unknown key",
        ),
        pytest.param(
            "[web]\n\ntrusted_proxies = 11\n",
            "web.trusted_proxies (line 3)",
            "Input should be less than or equal to 10",
            id="out of range",
        ),
        pytest.param(
            '[web]\ncors_origins = ["https://shop.example", "shop.example"]\n',
            "web.cors_origins[1] (line 2)",
            "write an origin as browsers send it",
            id="no origin",
        ),
        pytest.param(
            '[claims]\nmax_ttl = "1 day"\n',
            "claims.max_ttl (line 2)",
            'write a duration as a number and a unit: "90s", "15m", "24h", "30d"',
            id="no duration",
        ),
        pytest.param(
            '[claims]\nmax_ttl = "31d"\n',
            "claims.max_ttl (line 2)",
            "Input should be less than or equal to 2592000",
            id="a token that may outlive its attempt",
        ),
        pytest.param(
            "[attempts]\nunlinked_for = inf\n",
            "attempts.unlinked_for (line 2)",
            "Input should be less than or equal to 315360000",
            id="for ever",
        ),
        pytest.param(
            '[gameball]\nretry_delays = ["1s", "0s"]\n',
            "gameball.retry_delays[1] (line 2)",
            "Input should be greater than 0",
            id="a retry without a pause",
        ),
        pytest.param(
            "[gameball]\nbusy_delays = []\n",
            "gameball.busy_delays (line 2)",
            "Tuple should have at least 1 item after validation, not 0",
            id="an empty schedule",
        ),
        pytest.param(
            '[gameball]\nwindow_at_least = "20m"\n',
            "gameball (line 1)",
            "window_at_least must not exceed window_at_most",
            id="windows the wrong way round",
        ),
        pytest.param(
            "[gameball]\nper_second = 0\n",
            "gameball.per_second (line 2)",
            "Input should be greater than or equal to 1",
            id="no pace at all",
        ),
        pytest.param(
            'rules = "none"\n',
            "rules (line 1)",
            "write each as a table of its own: [[rules]]",
            id="rules that are none",
        ),
        pytest.param(
            SOURCE + RULE.replace("[[rules]]", "[rules]"),
            "rules (line 5)",
            "write each as a table of its own: [[rules]]",
            id="one bracket too few",
        ),
        pytest.param(
            SOURCE + RULE.replace("challenge_id", "challengeId"),
            "rules[0].challengeId (line 6)",
            "is not a setting here; did you mean challenge_id?",
            id="a name as the API writes it",
        ),
        pytest.param(
            "sources = [1]\n",
            "sources (line 1)",
            "write each source as a [[sources]] table",
            id="sources that are none",
        ),
        pytest.param(
            f"[sources]\n{SOURCE[12:]}",
            "sources (line 1)",
            "write each source as a [[sources]] table",
            id="one bracket too few",
        ),
        pytest.param(
            SOURCE.replace('platform = "twitch"', 'platform = "myspace"'),
            "sources[0].platform (line 3)",
            "is not one of: ",
            id="unknown platform",
        ),
        pytest.param(
            SOURCE.replace('platform = "twitch"\n', ""),
            "sources[0].platform (line 1)",
            "is not one of: ",
            id="no platform",
        ),
        pytest.param(
            SOURCE.replace('name = "twitch"', 'name = "Twitch EU"'),
            "sources[0].name (line 2)",
            "String should match pattern",
            id="a name no address can end in",
        ),
        pytest.param(
            SOURCE + "verify_tokens = 1\n",
            "sources[0].verify_tokens (line 5)",
            "is not a setting here",
            id="unknown key of a source",
        ),
        pytest.param(
            SOURCE + "\n" + SOURCE,
            "sources[1].name (line 7)",
            "another source has the same name",
            id="the same name twice",
        ),
        pytest.param(
            RULE,
            "rules[0].source (line 3)",
            "no source is named 'twitch'",
            id="a rule of an unknown source",
        ),
        pytest.param(
            SOURCE + RULE + 'platform = "youtube"\n',
            "rules[0].platform (line 9)",
            "the source 'twitch' is of 'twitch'",
            id="a rule of another platform than its source",
        ),
        pytest.param(
            RULE.replace('source = "twitch"\n', ""),
            "rules[0] (line 1)",
            "name a source, or a platform",
            id="a rule of nothing",
        ),
        pytest.param(
            SOURCE + RULE.replace("challenge_id = 1\n", ""),
            "rules[0].challenge_id (line 5)",
            "must be given",
            id="a rule without a challenge",
        ),
        pytest.param(
            SOURCE + RULE.replace("challenge_id = 1", "challenge_id = 2147483648"),
            "rules[0].challenge_id (line 6)",
            "Input should be less than or equal to 2147483647",
            id="a challenge the database cannot hold",
        ),
        pytest.param(
            SOURCE + RULE.replace('"follow"', '"Follow!"'),
            "rules[0].action (line 8)",
            "String should match pattern",
            id="an action that is no word",
        ),
        pytest.param(
            SOURCE + RULE + 'target = ""\n',
            "rules[0].target (line 9)",
            "String should have at least 1 character",
            id="an empty target",
        ),
        pytest.param(
            SOURCE + RULE + 'evidence = "hearsay"\n',
            "rules[0].evidence (line 9)",
            "Input should be 'claimed', 'checked' or 'signed'",
            id="unknown evidence",
        ),
        pytest.param(
            SOURCE + RULE + 'repeat = "per_year"\n',
            "rules[0].repeat (line 9)",
            "Input should be 'once', 'per_target', 'per_day', 'per_week', 'per_month' or "
            "'every_event'",
            id="unknown repeat",
        ),
        pytest.param(
            SOURCE + RULE + "hold = inf\n",
            "rules[0].hold (line 9)",
            "Input should be less than or equal to 315360000",
            id="held for ever",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(
    write_config: WriteConfig, text: str, place: str, problem: str
) -> None:
    found = mistakes_in(write_config(text))

    assert any(
        mistake.place == place and mistake.problem.startswith(problem) for mistake in found
    ), found


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "shop.example",
        "https://shop.example/",
        "https://Shop.example",
        "HTTPS://shop.example",
        "https://shop.example:443",
        "http://shop.example:80",
        "https://caf\N{LATIN SMALL LETTER E WITH ACUTE}.example",
        "https://me@shop.example",
        "capacitor://",
        "capacitor://localhost/",
        "Capacitor://localhost",
        "capacitor:localhost",
        "app://*",
        "file://localhost",
        "blob://shop.example",
        "null",
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(write_config: WriteConfig, origin: str) -> None:
    found = mistakes_in(write_config(f'[web]\ncors_origins = ["{origin}"]\n'))

    assert [mistake.place for mistake in found] == ["web.cors_origins[0] (line 2)"]
    assert "as browsers send it" in found[0].problem


@pytest.mark.parametrize(
    "origin",
    [
        "https://shop.example",
        "http://localhost:3000",
        "https://xn--caf-dma.example:8443",
        "http://localhost",
        "http://[::1]:8080",
        "capacitor://localhost",
        "ionic://localhost",
        "app://shop",
        "app://-",
        "tauri://localhost",
        "https://tauri.localhost",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        "com.shop.app://localhost:8080",
    ],
)
def test_an_origin_as_browsers_send_it_is_taken(write_config: WriteConfig, origin: str) -> None:
    configuration = load_configuration(write_config(f'[web]\ncors_origins = ["{origin}"]\n'), {})

    assert configuration.web.cors_origins == (origin,)


def test_whoever_has_no_file_is_told_of_one_to_copy_that_is_there(tmp_path: Path) -> None:
    [mistake] = mistakes_in(tmp_path / "vouch.toml")

    [example] = re.findall(r"copy (\S+) there", mistake.problem)
    assert Path(example).is_file()


def test_the_mark_that_editors_on_windows_write_first_is_no_mistake(
    write_config: WriteConfig,
) -> None:
    configuration = load_configuration(
        write_config(f"\N{ZERO WIDTH NO-BREAK SPACE}{EXAMPLE}"), VARIABLES
    )

    assert list(configuration.sources) == ["twitch"]


@pytest.mark.parametrize("text", ["a = " + "[" * 5_000, "a = " + "9" * 5_000])
def test_what_no_parser_can_take_is_a_mistake_and_ends_no_service(
    write_config: WriteConfig, text: str
) -> None:
    [mistake] = mistakes_in(write_config(text))

    assert mistake.problem.startswith("is not TOML")


def test_all_mistakes_are_reported_at_once(write_config: WriteConfig) -> None:
    path = write_config(
        """\
[[sources]]
name = "twitch"
platform = "twitch"
secrets = ["env:NOT_SET"]

[[sources]]
name = "other"
platform = "myspace"

[[rules]]
challenge_id = 0
source = "twitch"
action = "follow"

[[rules]]
challenge_id = 2
source = "nobody"
action = "follow"

[worker]
threads = 65
"""
    )

    found = mistakes_in(path)

    assert [mistake.place for mistake in found] == [
        "sources[0].secrets[0] (line 4)",
        "sources[1].platform (line 8)",
        "rules[0].challenge_id (line 11)",
        "worker.threads (line 21)",
        "rules[1].source (line 17)",
    ]


def test_one_mistake_hides_no_other_of_the_same_table(write_config: WriteConfig) -> None:
    path = write_config(
        """\
[[sources]]
name = "No Name"
platform = "myspace"
secrets = ["a-secret-in-the-file"]
only_myspace_knows = 1

[[rules]]
challenge_id = 0
source = "nobody"
action = "follow"

[[rules]]
challenge_id = 1
action = "Follow!"
"""
    )

    found = mistakes_in(path)

    assert {mistake.place for mistake in found} == {
        "sources[0].platform (line 3)",
        "sources[0].name (line 2)",
        "sources[0].secrets[0] (line 4)",
        "rules[0].challenge_id (line 8)",
        "rules[0].source (line 9)",
        "rules[1].action (line 14)",
        "rules[1] (line 12)",
    }


def test_a_source_with_a_mistake_is_not_also_called_unknown(write_config: WriteConfig) -> None:
    path = write_config(EXAMPLE.replace("TWITCH_SECRET", "NOT_SET"))

    found = mistakes_in(path)

    assert [mistake.place for mistake in found] == ["sources[0].secrets[0] (line 4)"]


def test_a_rule_of_a_source_earns_for_the_word_its_accounts_are_linked_under(
    write_config: WriteConfig,
) -> None:
    path = write_config(SOURCE + 'accounts = "twitch-eu"\n' + RULE + 'platform = "twitch"\n')

    configuration = load_configuration(path, VARIABLES)

    assert configuration.rules == (
        Rule(challenge_id=1, platform="twitch-eu", action="follow", source="twitch"),
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[[rules]\n", "is not TOML: "),
        (b"a = 1\na = 2\n", "is not TOML: "),
        (b"\xff\xfe", "is not UTF-8"),
    ],
)
def test_a_file_of_another_kind_is_refused_by_its_name(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    path = tmp_path / "vouch.toml"
    path.write_bytes(content)

    found = mistakes_in(path)

    assert len(found) == 1
    assert found[0].place == str(path)
    assert found[0].problem.startswith(problem)


def test_a_file_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    found = mistakes_in(tmp_path / "nowhere.toml")

    assert len(found) == 1
    assert "FileNotFoundError" in found[0].problem
    assert "VOUCH_CONFIG" in found[0].problem


TOML_VALUES = st.sampled_from(
    ["1", "-1", "1e400", "nan", "true", '"x"', '""', "[]", "[[]]", "{}", "1979-05-27", '"env:A"']
)
KEYS = st.sampled_from(
    ["name", "platform", "secrets", "accounts", "challenge_id", "source", "action", "hold", "junk"]
)
TABLES = st.sampled_from(
    ["[[sources]]", "[[rules]]", "[web]", "[claims]", "[gameball]", "[worker]", "[junk]", ""]
)


@given(
    st.lists(
        st.tuples(TABLES, st.dictionaries(KEYS, TOML_VALUES, max_size=4)), min_size=1, max_size=4
    )
)
def test_no_file_is_anything_but_right_or_a_list_of_mistakes(
    tmp_path_factory: pytest.TempPathFactory, tables: list[tuple[str, dict[str, str]]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.toml"
    path.write_text(
        "\n".join(
            "\n".join([header, *(f"{key} = {value}" for key, value in pairs.items())])
            for header, pairs in tables
        )
    )

    mistakes: tuple[Mistake, ...] = ()
    loaded: Configuration | None = None
    try:
        loaded = load_configuration(path, VARIABLES)
    except ConfigurationError as error:
        mistakes = error.mistakes

    assert (loaded is None) == bool(mistakes)


def test_the_truth_cannot_be_given_up_before_a_grant_would_show(write_config: WriteConfig) -> None:
    text = '[gameball]\nwindow_at_most = "30m"\n[confirmation]\ngive_up_after = "20m"\n'

    [mistake] = mistakes_in(write_config(text))

    assert "give_up_after must not be less than gameball.window_at_most" in mistake.problem


GAMEBALL = '[[sources]]\nname = "gb"\nplatform = "gameball"\nsecrets = ["env:TWITCH_SECRET"]\n'


@pytest.mark.parametrize("origin", ['source = "gb"', 'platform = "gameball"'])
def test_no_rule_can_be_about_what_tells_of_rewards(write_config: WriteConfig, origin: str) -> None:
    rule = f'[[rules]]\nchallenge_id = 1\n{origin}\naction = "follow"\nevidence = "claimed"\n'

    with pytest.raises(ConfigurationError) as refused:
        load_configuration(write_config(GAMEBALL + rule), VARIABLES)

    assert ["reports rewards" in mistake.problem for mistake in refused.value.mistakes] == [True]


def test_rules_count_days_in_the_configured_zone(write_config: WriteConfig) -> None:
    path = write_config(EXAMPLE + '\n[awards]\ntime_zone = "Europe/Berlin"\n')

    configuration = load_configuration(path, VARIABLES)

    assert {str(rule.time_zone) for rule in configuration.rules} == {"Europe/Berlin"}


@pytest.mark.parametrize(
    "name", ["", "Europe", "Berlin", "../UTC", "/etc/localtime", "CET+1\\u0000"]
)
def test_a_zone_must_be_known(write_config: WriteConfig, name: str) -> None:
    path = write_config(EXAMPLE + f'\n[awards]\ntime_zone = "{name}"\n')

    [found] = mistakes_in(path)

    assert found.place.startswith("awards.time_zone")
    assert "IANA" in found.problem


TWO = """\
[[sources]]
name = "a"
platform = "{platform}"
secrets = ["env:TWITCH_SECRET"]
{more}

[[sources]]
name = "b"
platform = "{platform}"
secrets = ["env:TWITCH_SECRET"]
{more}

[[rules]]
challenge_id = 1
platform = "{word}"
action = "follow"
"""


@pytest.mark.parametrize(
    ("platform", "more", "word", "sources"),
    [
        ("twitch", "", "twitch", {"a", "b"}),
        ("twitch", "", "youtube", set()),
        ("kakao", "", "kakao", set()),
        ("kakao", 'accounts = "shop"', "shop", {"a", "b"}),
    ],
)
def test_a_rule_without_a_source_knows_which_sources_are_of_one_app(
    write_config: WriteConfig, platform: str, more: str, word: str, sources: set[str]
) -> None:
    path = write_config(TWO.format(platform=platform, more=more, word=word))

    [rule] = load_configuration(path, VARIABLES).rules

    assert rule.sources == sources


def test_a_rule_of_one_source_is_about_that_source_only(write_config: WriteConfig) -> None:
    text = TWO.format(platform="twitch", more="", word="twitch")
    path = write_config(text.replace('platform = "twitch"\naction', 'source = "a"\naction'))

    [rule] = load_configuration(path, VARIABLES).rules

    assert (rule.source, rule.sources) == ("a", frozenset())
