"""`vouch check` finds what is wrong before it runs."""

import json
import shutil
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psycopg
import pytest

from app.cli.demo.configuration import toml_value
from app.domain.clock import utc_now
from app.platforms import adapters
from app.platforms.kit.examples import example_source, templates
from app.sandbox.server import SandboxServer
from app.sandbox.settings import Campaign, SandboxSettings
from app.steps.identities import Identity, link
from app.steps.sightings import SightingsBuffer
from app.steps.sources import Sighting, keep
from app.storage.database import Database
from tests.cli.conftest import PLATFORMS, Vouch, adapter_of, any_platform, is_secret
from tests.keys import KEYS

CLAIMED = """
[[rules]]
challenge_id = 1
platform = "elsewhere"
action = "follow"
evidence = "claimed"
"""


CAMPAIGNS = SandboxSettings(campaigns=(Campaign(id=1), Campaign(id=2), Campaign(id=3)))


@pytest.fixture(scope="module")
def gameball() -> Iterator[SandboxServer]:
    """For tests that only let it be asked."""
    with SandboxServer(CAMPAIGNS) as server:
        yield server


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, _ready: None) -> Iterator[SandboxServer]:
    """For tests that change it, or count its calls."""
    with SandboxServer(CAMPAIGNS) as server:
        monkeypatch.setenv("GAMEBALL_BASE_URL", server.url)
        yield server


@pytest.fixture
def _ready(monkeypatch: pytest.MonkeyPatch, gameball: SandboxServer, sqlite_url: str) -> None:
    """An environment in which nothing is wrong."""
    for name, value in {
        "GAMEBALL_BASE_URL": gameball.url,
        "GAMEBALL_API_KEY": "sandbox-api-key",
        "GAMEBALL_SECRET_KEY": "sandbox-secret-key",
        "VOUCH_SECRET_KEYS": "a-key-of-more-than-sixteen",
        "DATABASE_URL": sqlite_url,
        "VOUCH_CONFIG": "vouch.toml",
    }.items():
        monkeypatch.setenv(name, value)


def checked(run: Vouch, *more: str) -> tuple[int, list[dict[str, str]]]:
    result = run("check", "--json", *more)
    told = json.loads(result.stdout)
    assert told["ok"] is (result.exit_code == 0)
    return result.exit_code, told["findings"]


def texts(findings: list[dict[str, str]], level: str) -> list[str]:
    """The findings of a level, each with its place before it."""
    return [f"{f['place']}: {f['text']}" for f in findings if f["level"] == level]


def source(platform: str, *, secret: str = "") -> str:
    """The platform's example source, with its own secrets or with this one instead."""
    table = example_source(platform)
    lines = [f'[[sources]]\nname = "{table["name"]}"\nplatform = "{platform}"']
    for key, value in table.items():
        if key in ("name", "platform"):
            continue
        if not is_secret(platform, key):
            lines.append(f"{key} = {toml_value(value)}")
            continue
        values = value if isinstance(value, list) else [value]
        for number, one in enumerate(values):
            kept = secret if key == "secrets" and secret else one
            Path(f"{platform}-{key}-{number}").write_text(kept, "utf-8")
        references = [f"file:{platform}-{key}-{number}" for number in range(len(values))]
        lines.append(
            f"{key} = {json.dumps(references if isinstance(value, list) else references[0])}"
        )
    return "\n".join([*lines, ""])


def rule(platform: str, action: str, **more: str) -> str:
    told = {"source": example_source(platform)["name"], "action": action, **more}
    lines = [f"{key} = {json.dumps(value)}" for key, value in told.items()]
    return "\n".join(["[[rules]]", "challenge_id = 1", *lines, ""])


def an_action(platform: str) -> str:
    action: str = next(iter(templates(platform).values())).expect[0]["action"]
    return action


def write(text: str) -> None:
    Path("vouch.toml").write_text(text, "utf-8")


@pytest.mark.usefixtures("_ready")
def test_an_installation_in_order_is_all_ok(run: Vouch) -> None:
    write("[web]\ncors_origins = ['https://shop.example']\n" + CLAIMED)

    status, findings = checked(run)

    assert status == 0
    assert {finding["level"] for finding in findings} == {"ok"}
    assert {finding["place"] for finding in findings} == {
        "vouch.toml",
        "VOUCH_SECRET_KEYS",
        "GAMEBALL_BASE_URL",
        "DATABASE_URL",
        "GAMEBALL_API_KEY",
    }


@pytest.mark.usefixtures("_ready")
def test_it_is_told_to_people_with_the_errors_last(run: Vouch) -> None:
    write(CLAIMED.replace("= 1", "= 999"))

    result = run("check")

    # A path is never broken, and ours may be long.
    lines = result.stdout.replace(str(Path.cwd()), "").splitlines()
    levels = [word for line in lines if (word := line.split(" ")[0]) in ("ok", "warning", "error")]
    assert result.exit_code == 1
    assert levels == ["ok"] * levels.count("ok") + ["warning"] + ["error"]
    assert lines[-1] == "1 error, 1 warning"
    assert all(len(line) <= 100 for line in lines)


def test_with_nothing_there_it_says_what_is_missing(run: Vouch) -> None:
    status, findings = checked(run)

    told = "\n".join(texts(findings, "error"))
    assert status == 1
    assert "config/vouch.toml: cannot be read" in told
    assert "GAMEBALL_API_KEY: is not set" in told
    assert "GAMEBALL_SECRET_KEY: is not set" in told
    assert not Path("var").exists()


@pytest.mark.usefixtures("_ready")
def test_a_broken_file_is_told_whole_and_the_rest_is_still_checked(run: Vouch) -> None:
    write('[web]\nnonsense = 1\n\n[[rules]]\nchallenge_id = 0\naction = "follow"\n')

    status, findings = checked(run)

    errors = texts(findings, "error")
    assert status == 1
    assert {text.split(":")[0] for text in errors} == {
        "web.nonsense (line 2)",
        "rules[0].challenge_id (line 5)",
        "rules[0] (line 4)",
    }
    assert any("lists 3 campaigns" in text for text in texts(findings, "ok"))
    assert any("is at revision" in text for text in texts(findings, "ok"))


@pytest.mark.usefixtures("_ready")
def test_wrong_variables_are_told_and_the_rest_is_still_checked(
    run: Vouch, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(CLAIMED)
    monkeypatch.setenv("VOUCH_SECRET_KEYS", "short")
    monkeypatch.setenv("GAMEBALL_API_KEY_FILE", "also")
    monkeypatch.delenv("GAMEBALL_SECRET_KEY")
    monkeypatch.setenv("GAMEBALL_SECRET_KEY_FILE", "nowhere")

    status, findings = checked(run)

    errors = texts(findings, "error")
    assert status == 1
    assert "VOUCH_SECRET_KEYS: key 1 is shorter than 16 characters" in errors
    assert "GAMEBALL_API_KEY: both GAMEBALL_API_KEY and GAMEBALL_API_KEY_FILE are set" in errors
    assert "GAMEBALL_SECRET_KEY_FILE: cannot be read: FileNotFoundError" in errors
    assert any(text.startswith("DATABASE_URL") for text in texts(findings, "ok"))


@any_platform
@pytest.mark.usefixtures("_ready")
def test_the_secret_of_a_public_example_is_an_error(run: Vouch, platform: str) -> None:
    write(source(platform) + rule(platform, an_action(platform)))

    status, findings = checked(run, "--offline")

    assert status == 1
    assert any(
        text.startswith("sources[0].secrets (line ") and "everybody can sign" in text
        for text in texts(findings, "error")
    )


@any_platform
@pytest.mark.usefixtures("_ready")
def test_a_source_without_a_rule_is_a_warning(run: Vouch, platform: str) -> None:
    write(source(platform))

    _, findings = checked(run, "--offline")

    assert any("no rule rewards anything" in text for text in texts(findings, "warning"))


@pytest.mark.usefixtures("_ready")
def test_a_short_secret_is_a_warning_where_the_platform_takes_it(run: Vouch) -> None:
    warned = []
    for platform in PLATFORMS:
        write(source(platform, secret="short-one1") + rule(platform, an_action(platform)))
        _, findings = checked(run, "--offline")
        warned += [t for t in texts(findings, "warning") if "only 10 characters" in t]

    assert warned
    assert all(text.startswith("sources[0].secrets (line ") for text in warned)
    assert all("short-one1" not in text for text in warned)


@any_platform
@pytest.mark.usefixtures("_ready")
def test_terms_that_speak_against_a_rule_are_told_with_their_source(
    run: Vouch, platform: str
) -> None:
    write(source(platform) + rule(platform, an_action(platform)))

    _, findings = checked(run, "--offline")

    terms = adapters()[platform].terms
    against = [one for one in terms if one.speak_against(an_action(platform))]
    told = [text for text in texts(findings, "warning") if "speak against" in text]
    assert len(told) == len(against)
    assert all(str(one) in text for one, text in zip(against, told, strict=True))


@any_platform
@pytest.mark.usefixtures("_ready")
def test_a_tolerance_where_no_time_is_signed_is_a_warning(run: Vouch, platform: str) -> None:
    write(source(platform) + "tolerance_seconds = 60\n" + rule(platform, an_action(platform)))

    _, findings = checked(run, "--offline")

    told = [t for t in texts(findings, "warning") if "bounds nothing" in t]
    assert bool(told) is not any(scheme.time for scheme in adapter_of(platform).schemes)
    assert all(text.startswith("sources[0].tolerance_seconds (line ") for text in told)


@any_platform
@pytest.mark.usefixtures("_ready")
def test_two_sources_that_may_mean_two_people_by_one_id_are_a_warning(
    run: Vouch, platform: str
) -> None:
    one = source(platform)
    name = example_source(platform)["name"]
    other = one.replace(f'name = "{name}"', 'name = "another"', 1)
    rules = f'[[rules]]\nchallenge_id = 1\nplatform = "{platform}"\naction = "follow"\n'
    told = []
    for accounts in ("", 'accounts = "others"\n'):
        write(one + other + accounts + rules)
        _, findings = checked(run, "--offline")
        told.append([t for t in texts(findings, "warning") if "accounts word of its own" in t])

    shared, apart = told
    assert bool(shared) is adapters()[platform].ids_are_per_source
    assert all(text.startswith("sources[1].name (line ") and name in text for text in shared)
    assert not apart


NETWORKS = [(p, network) for p in PLATFORMS for network in adapters()[p].also_known_as]


@pytest.mark.parametrize(("platform", "network"), NETWORKS)
@pytest.mark.usefixtures("_ready")
def test_terms_that_speak_against_claims_of_a_network_without_an_adapter_are_told(
    run: Vouch, platform: str, network: str
) -> None:
    write(CLAIMED.replace('"elsewhere"', f'"{network}"'))

    _, findings = checked(run, "--offline")

    (terms,) = adapters()[platform].terms
    (told,) = [text for text in texts(findings, "warning") if "speak against" in text]
    assert f"the terms of {network} speak against rewarding it. {terms}" in told


@pytest.mark.usefixtures("_ready")
def test_what_the_platform_makes_up_and_shows_is_no_secret_that_may_be_guessed(run: Vouch) -> None:
    shown = [(p, key) for p in PLATFORMS for key in adapters()[p].public_options]
    for platform, key in shown:
        kept = source(platform, secret="long-enough-not-to-be-guessed")
        Path(f"{platform}-{key}-0").write_text("b5d1dc0c", "utf-8")
        write(kept + rule(platform, an_action(platform)))

        _, findings = checked(run, "--offline")

        assert not [one for one in findings if one["place"].startswith(f"sources[0].{key}")]
    assert shown


@any_platform
@pytest.mark.usefixtures("_ready")
def test_no_known_action_of_a_platform_is_warned_of(run: Vouch, platform: str) -> None:
    actions = {e["action"] for t in templates(platform).values() for e in t.expect}
    write(source(platform) + "".join(rule(platform, action) for action in sorted(actions)))

    _, findings = checked(run, "--offline")

    assert not [text for text in texts(findings, "warning") if "is read as" in text]


@pytest.mark.usefixtures("_ready")
def test_an_action_that_nothing_is_read_as_is_a_warning_unless_the_sender_names_it(
    run: Vouch,
) -> None:
    warned = {}
    for platform in PLATFORMS:
        write(source(platform) + rule(platform, "yodel"))
        _, findings = checked(run, "--offline")
        warned[platform] = [t for t in texts(findings, "warning") if "is read as 'yodel'" in t]

    # Few take whatever action their partners name.
    assert {len(found) for found in warned.values()} == {0, 1}
    assert sum(not found for found in warned.values()) <= 2
    assert all(
        text.startswith("rules[0].action (line") for found in warned.values() for text in found
    )


@pytest.mark.usefixtures("_ready")
def test_a_rule_that_no_source_can_fulfil_is_a_warning_unless_claims_can(run: Vouch) -> None:
    write(CLAIMED.replace('"claimed"', '"signed"'))
    _, findings = checked(run, "--offline")

    write(CLAIMED)
    _, believing = checked(run, "--offline")

    assert any("no source tells of 'elsewhere'" in t for t in texts(findings, "warning"))
    assert not [t for t in texts(believing, "warning") if "no source tells" in t]


@pytest.mark.parametrize(
    ("repeat", "is_warned"),
    [("once", False), ("per_day", False), ("per_target", True), ("every_event", True)],
)
@pytest.mark.usefixtures("_ready")
def test_awards_that_customers_could_invent_are_a_warning(
    run: Vouch, repeat: str, is_warned: bool
) -> None:
    write(f'{CLAIMED}repeat = "{repeat}"\n')

    _, findings = checked(run, "--offline")

    told = [t for t in texts(findings, "warning") if "on a customer's word alone" in t]
    assert bool(told) is is_warned


@pytest.mark.usefixtures("_ready")
def test_claims_without_an_origin_are_a_warning_at_the_setting(run: Vouch) -> None:
    write("[web]\ncors_origins = []\n" + CLAIMED)

    status, findings = checked(run, "--offline")

    (told,) = texts(findings, "warning")
    assert status == 0
    assert told.startswith("web.cors_origins (line 2): is empty")


@pytest.mark.usefixtures("_ready")
def test_generated_secret_keys_are_a_warning_beside_a_database_of_our_own(
    run: Vouch, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("")
    monkeypatch.delenv("VOUCH_SECRET_KEYS")

    status, findings = checked(run, "--offline")

    (told,) = texts(findings, "warning")
    assert status == 0
    assert told.startswith("VOUCH_SECRET_KEYS: is not set: a key is generated")


@pytest.mark.usefixtures("_ready")
def test_a_shared_database_needs_keys_of_its_own(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    write("")
    monkeypatch.delenv("VOUCH_SECRET_KEYS")
    monkeypatch.setenv("DATABASE_URL", postgres_url)

    status, findings = checked(run, "--offline")

    (told,) = texts(findings, "error")
    assert status == 1
    assert told.startswith("VOUCH_SECRET_KEYS: must be set when the database is shared")
    assert any("is at revision" in text for text in texts(findings, "ok"))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://gameball.example", "GAMEBALL_BASE_URL: is plain http to another machine"),
        ("ftp://gameball.example", "GAMEBALL_BASE_URL: must begin with https:"),
        ("gameball.example", "GAMEBALL_BASE_URL: must begin with https:"),
        ("https://me:pw@gameball.example", "GAMEBALL_BASE_URL: must begin with https:"),
        ("https://", "GAMEBALL_BASE_URL: is no web address"),
        ("http://127.0.0.1:9", "GAMEBALL_BASE_URL: does not answer: no connection"),
    ],
)
@pytest.mark.usefixtures("_ready")
def test_a_wrong_address_of_gameball_is_an_error(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, url: str, told: str
) -> None:
    write("")
    monkeypatch.setenv("GAMEBALL_BASE_URL", url)

    status, findings = checked(run)

    (error,) = texts(findings, "error")
    assert status == 1
    assert error.startswith(told)


@pytest.mark.usefixtures("_ready")
def test_refused_credentials_are_an_error_and_stay_secret(
    run: Vouch, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("")
    monkeypatch.setenv("GAMEBALL_API_KEY", "wrong-and-secret")

    result = run("check")

    assert result.exit_code == 1
    assert "Gameball refuses the credentials" in result.stdout
    assert "(code 1000)" in result.stdout
    assert "wrong-and-secret" not in result.output


@pytest.mark.usefixtures("_ready")
def test_another_answer_than_gameballs_names_the_version(
    run: Vouch, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("")
    monkeypatch.setenv("GAMEBALL_API_VERSION", "v9")

    _, findings = checked(run)

    (error,) = texts(findings, "error")
    assert error.startswith("GAMEBALL_BASE_URL: answers 404 at v9")


@pytest.mark.parametrize(
    ("campaign", "level", "told"),
    [
        (Campaign(id=1), None, ""),
        (Campaign(id=5), "error", "Gameball has no campaign 1"),
        (Campaign(id=1, type="EventBased"), "warning", "not a social one"),
        (Campaign(id=1, max_achievement=1), "warning", "is granted once, yet the rule repeats"),
    ],
)
@pytest.mark.usefixtures("_ready")
def test_the_challenges_of_the_rules_are_compared_with_gameballs(
    run: Vouch, sandbox: SandboxServer, campaign: Campaign, level: str | None, told: str
) -> None:
    write(f'[web]\ncors_origins = ["https://a.example"]\n{CLAIMED}repeat = "per_day"\n')
    sandbox.books.configure(campaigns=(campaign,))

    status, findings = checked(run)

    found = [*texts(findings, "warning"), *texts(findings, "error")]
    assert len(found) == (0 if level is None else 1)
    assert all(text.startswith("rules[0].challenge_id (line 5)") for text in found)
    assert all(told in text for text in found)
    assert status == (1 if level == "error" else 0)


@pytest.mark.usefixtures("_ready")
def test_no_campaigns_at_all_are_one_warning(run: Vouch, sandbox: SandboxServer) -> None:
    write("[web]\ncors_origins = ['https://a.example']\n" + CLAIMED + CLAIMED)
    sandbox.books.configure(campaigns=())

    status, findings = checked(run)

    (told,) = texts(findings, "warning")
    assert status == 0
    assert "lists no campaign at all" in told


@pytest.mark.usefixtures("_ready")
def test_a_source_that_is_not_well_is_a_warning_and_one_that_is_says_when_it_spoke(
    run: Vouch, sqlite_url: str
) -> None:
    platform, other = PLATFORMS[:2]
    silent_after = "silent_after_seconds = 3600\n"
    write(source(platform) + silent_after + source(other) + silent_after)
    database = Database(sqlite_url, secret_keys=KEYS)
    now = utc_now()
    seen = {
        example_source(platform)["name"]: Sighting(callback_at=now, handshake_at=now),
        example_source(other)["name"]: Sighting(callback_at=now - timedelta(hours=2)),
    }
    database.write(lambda c: keep(c, seen))
    database.close()

    _, findings = checked(run, "--offline")

    assert f"last callback {now:%Y-%m-%d %H:%M} UTC, last handshake" in str(texts(findings, "ok"))
    (found,) = [text for text in texts(findings, "warning") if " is silent: " in text]
    assert found.startswith("sources[1].name")
    assert repr(example_source(other)["name"]) in found


@pytest.mark.usefixtures("_ready")
def test_offline_calls_nobody(run: Vouch, sandbox: SandboxServer) -> None:
    write(CLAIMED)

    checked(run, "--offline")

    assert sandbox.books.calls() == []


def sealed_with(url: str, *keys: str) -> None:
    """An identity, and with it a hash key, sealed with the first of some keys."""
    database = Database(url, secret_keys=keys)
    ann = Identity(platform="twitch", account_id=keys[0], customer_id="ann", email="ann@b.test")
    database.write(lambda c: link(c, ann, "test", utc_now()))
    database.close()


OLD_KEY, NEW_KEY = "the-old-key-of-sixteen", "the-new-key-of-sixteen"


def about_keys(findings: list[dict[str, str]], level: str) -> list[str]:
    said = texts(findings, level)
    return [one for one in said if one.startswith("VOUCH_SECRET_KEYS") and "key 2 (" in one]


@pytest.mark.usefixtures("_ready")
def test_an_old_key_may_go_when_nothing_needs_it_any_more(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    write("")
    sealed_with(sqlite_url, OLD_KEY)
    monkeypatch.setenv("VOUCH_SECRET_KEYS", f"{NEW_KEY},{OLD_KEY}")

    status, before = checked(run, "--offline")
    resealed = json.loads(run("db", "reencrypt", "--json").stdout)
    _, after = checked(run, "--offline")

    assert status == 0
    (needed,) = about_keys(before, "warning")
    assert "2 values still need key 2" in needed
    assert "vouch db reencrypt" in needed
    assert resealed == {"resealed": 2}
    (free,) = about_keys(after, "ok")
    assert "nothing in the database needs key 2" in free


@pytest.mark.parametrize(
    ("text", "level", "told"),
    [
        ("workers = 3\n", "ok", "3 web processes of"),
        ("workers = (\n", "error", "cannot be run: SyntaxError"),
        ('timeout = "a minute"\n', "error", "timeout: "),
    ],
)
@pytest.mark.usefixtures("_ready")
def test_the_file_that_says_how_gunicorn_runs_is_read_as_the_service_reads_it(
    run: Vouch, text: str, level: str, told: str
) -> None:
    write("")
    Path("config").mkdir()
    Path("config/gunicorn.conf.py").write_text(text, "utf-8")

    _, findings = checked(run, "--offline")

    [found] = [one for one in findings if one["place"] == "config/gunicorn.conf.py"]
    assert found["level"] == level
    assert found["text"].startswith(told)


@pytest.mark.usefixtures("_ready")
@pytest.mark.parametrize(("trusted", "is_told"), [(0, True), (1, False)])
def test_a_proxy_that_is_not_trusted_is_a_warning_at_the_setting(
    run: Vouch, sqlite_url: str, trusted: int, is_told: bool
) -> None:
    write(f"[web]\ntrusted_proxies = {trusted}\n")
    database = Database(sqlite_url)
    watch = SightingsBuffer(database)
    watch.proxied(utc_now(), "X-Forwarded-For")
    watch.close()
    database.close()

    _, findings = checked(run, "--offline")

    told = [one for one in texts(findings, "warning") if "X-Forwarded-For comes" in one]
    assert bool(told) is is_told
    assert all(one.startswith("web.trusted_proxies (line 2): ") for one in told)


@pytest.mark.usefixtures("_ready")
def test_a_key_file_that_we_may_not_read_is_an_error_and_the_rest_is_still_checked(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    write("")
    monkeypatch.delenv("VOUCH_SECRET_KEYS")
    Path(sqlite_url.removeprefix("sqlite:///")).with_name("secret_keys").write_bytes(b"\xff")

    status, findings = checked(run, "--offline")

    assert status == 1
    assert any("cannot be read or made" in text for text in texts(findings, "error"))
    assert any(finding["place"] == "vouch.toml" for finding in findings)


@pytest.mark.usefixtures("_ready")
def test_a_key_that_the_database_needs_and_nobody_has_is_an_error(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    write("")
    sealed_with(sqlite_url, OLD_KEY)
    monkeypatch.setenv("VOUCH_SECRET_KEYS", NEW_KEY)

    status, findings = checked(run, "--offline")
    reencrypted = run("db", "reencrypt")

    assert status == 1
    (told,) = [one for one in texts(findings, "error") if "which is not among these" in one]
    assert told.startswith("VOUCH_SECRET_KEYS: 2 values")
    assert reencrypted.exit_code == 1
    assert "is not configured" in reencrypted.stderr
    assert OLD_KEY not in told + reencrypted.stderr


@pytest.mark.usefixtures("_ready")
@pytest.mark.parametrize("command", ["serve", "work"])
def test_nothing_begins_with_keys_that_do_not_open_the_database(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, sqlite_url: str, command: str
) -> None:
    write("")
    sealed_with(sqlite_url, OLD_KEY)
    monkeypatch.setenv("VOUCH_SECRET_KEYS", NEW_KEY)

    result = run(command)

    assert result.exit_code == 1
    assert "is not configured: VOUCH_SECRET_KEYS" in result.stderr


@pytest.mark.usefixtures("_ready")
def test_a_database_that_is_not_there_is_not_made(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write("")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/deep/vouch.db")

    status, findings = checked(run, "--offline")

    assert status == 0
    assert any("is not there yet" in text for text in texts(findings, "ok"))
    assert not (tmp_path / "deep").exists()


@pytest.mark.usefixtures("_ready")
def test_an_empty_database_file_of_ours_is_a_warning(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write("")
    (tmp_path / "empty.db").touch()
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/empty.db")

    status, findings = checked(run, "--offline")

    assert status == 0
    assert any("is of an older version" in text for text in texts(findings, "warning"))


@pytest.mark.parametrize(("mode", "warns"), [(0o600, False), (0o640, True), (0o604, True)])
@pytest.mark.usefixtures("_ready")
def test_a_database_that_others_can_read_is_a_warning(
    run: Vouch, sqlite_url: str, mode: int, warns: bool
) -> None:
    write("")
    Path(sqlite_url.removeprefix("sqlite:///")).chmod(mode)

    status, findings = checked(run, "--offline")

    assert status == 0
    assert any("others can read" in text for text in texts(findings, "warning")) is warns


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite://", "must name an SQLite file"),
        ("nonsense", "must begin with sqlite:"),
        ("nonsense://x/y", "must begin with sqlite:"),
        ("postgresql://somebody:pass-word@127.0.0.1:9/x", "does not answer"),
        ("postgresql://somebody:pass@word@127.0.0.1:9/x", "write an @ in the password as %40"),
        ("sqlite:////dev/null/vouch.db", "cannot be made"),
    ],
)
@pytest.mark.usefixtures("_ready")
def test_a_database_that_cannot_be_reached_is_an_error_without_its_password(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, url: str, told: str
) -> None:
    write("")
    monkeypatch.setenv("DATABASE_URL", url)

    status, findings = checked(run, "--offline")

    (error,) = texts(findings, "error")
    assert status == 1
    assert error.startswith("DATABASE_URL: ")
    assert told in error
    assert "pass" not in error.replace("the password as", "")
    # Nor is the default's praised instead.
    assert not [text for text in texts(findings, "ok") if text.startswith("DATABASE_URL")]


@pytest.mark.usefixtures("_ready")
def test_a_file_that_is_no_database_is_an_error(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write("")
    (tmp_path / "not.db").write_text("this is no database, by no means\n" * 100, "utf-8")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/not.db")

    status, findings = checked(run, "--offline")

    assert status == 1
    assert any("does not answer" in text for text in texts(findings, "error"))


@pytest.mark.usefixtures("_ready")
def test_a_shared_database_of_another_version_is_an_error(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    write("")
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        connection.execute("DELETE FROM vouch_version")

    status, findings = checked(run, "--offline")

    assert status == 1
    assert any("run `vouch db upgrade`" in text for text in texts(findings, "error"))


def test_the_examples_we_ship_are_right(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shipped = Path(__file__).parents[3] / "config" / "vouch.example.toml"
    shutil.copyfile(shipped, tmp_path / "vouch.toml")
    monkeypatch.setenv("VOUCH_CONFIG", "vouch.toml")
    text = shipped.read_text("utf-8")
    for name in {part.split('"')[0] for part in text.split('"env:')[1:]}:
        monkeypatch.setenv(name, "a-secret-of-many-characters")

    _, findings = checked(run, "--offline")

    assert any(finding["place"] == "vouch.toml" for finding in findings)


@pytest.mark.usefixtures("_ready")
def test_terms_about_some_actions_are_told_of_those_only_and_of_claims_too(run: Vouch) -> None:
    partly = {n: t for n, kind in adapters().items() for t in kind.terms if t.actions}

    for platform, terms in partly.items():
        for action in (next(iter(terms.actions)), "yodel"):
            write(CLAIMED.replace("elsewhere", platform).replace("follow", action))
            _, findings = checked(run, "--offline")

            told = [text for text in texts(findings, "warning") if "speak against" in text]
            assert bool(told) is (action in terms.actions)
    assert partly


@pytest.fixture
def publisher() -> Iterator[tuple[str, bytearray]]:
    """Where a platform publishes its key, and what it answers there."""
    answer = bytearray()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", answer
        server.shutdown()
        thread.join()


PUBLISHING = [name for name in PLATFORMS if adapter_of(name).keys_url is not None]


@pytest.mark.parametrize("platform", PUBLISHING)
@pytest.mark.usefixtures("_ready")
def test_a_key_that_a_source_needs_is_fetched_and_that_it_cannot_be_is_an_error(
    run: Vouch, platform: str, publisher: tuple[str, bytearray]
) -> None:
    url, answer = publisher
    lines = [one for one in source(platform).splitlines() if not one.startswith("secrets")]
    write("\n".join([*lines, f'key_url = "{url}"', rule(platform, an_action(platform))]))

    status, findings = checked(run)
    key = example_source(platform)["secrets"][0]
    answer.extend(json.dumps({"data": {"public_key": key}}).encode())
    mended, then = checked(run)
    _, unasked = checked(run, "--offline")

    assert (status, mended) == (1, 0)
    assert any("answers no keys" in text for text in texts(findings, "error"))
    assert any(f"1 key fetched from {url}" in text for text in texts(then, "ok"))
    assert not any("fetched" in text for text in texts(unasked, "ok"))


# One action of each platform that reports that it was undone.
TELLS_UNDOING = {
    platform: event["action"]
    for platform in PLATFORMS
    for template in templates(platform).values()
    for event in template.expect
    if event.get("undone")
}


def warned(run: Vouch, text: str, words: str) -> list[str]:
    write(text)
    _, findings = checked(run, "--offline")
    return [one for one in texts(findings, "warning") if words in one]


@pytest.mark.parametrize(("platform", "action"), TELLS_UNDOING.items())
@pytest.mark.usefixtures("_ready")
def test_an_action_that_is_paid_whenever_it_is_done_again_is_a_warning(
    run: Vouch, platform: str, action: str
) -> None:
    def found(**more: str) -> list[str]:
        return warned(run, source(platform) + rule(platform, action, **more), "every time is paid")

    [told] = found(repeat="every_event")

    assert "rules[0].repeat" in told
    assert found(repeat="every_event", hold="1h") == []
    assert found(repeat="once") == []
    assert not warned(run, source(platform) + rule(platform, action, hold="1h"), "has no effect")


@pytest.mark.usefixtures("_ready")
def test_what_is_done_again_unseen_is_a_warning_that_a_hold_is_no_help_against(run: Vouch) -> None:
    text = source("twitch") + rule("twitch", "follow", repeat="every_event")

    assert warned(run, text, "use another repeat")
    assert warned(run, text + 'hold = "1h"\n', "has no effect")


@pytest.mark.parametrize("more", ['hold = "1h"', "bar_after_undo = true"])
@pytest.mark.usefixtures("_ready")
def test_minding_an_undoing_that_nothing_reports_is_a_warning(run: Vouch, more: str) -> None:
    [told] = warned(run, source("twitch") + rule("twitch", "follow") + more, "has no effect")
    [claimed] = warned(run, CLAIMED + more, "has no effect")

    assert told.startswith(f"rules[0].{more.split()[0]}")
    assert claimed.startswith(f"rules[0].{more.split()[0]}")


@pytest.mark.usefixtures("_ready")
def test_a_comment_anywhere_is_a_warning_unless_the_places_are_named(run: Vouch) -> None:
    words = "anywhere that the source 'meta' hears of"
    text = source("meta")

    assert warned(run, text + rule("meta", "comment"), words)
    assert not warned(run, text + rule("meta", "comment", target="1_2"), words)
    assert not warned(run, text + rule("meta", "mention"), words)
    assert not warned(run, text + 'pages = ["1"]\n' + rule("meta", "comment"), words)
