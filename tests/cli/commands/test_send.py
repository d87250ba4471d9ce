"""`vouch send` sends what the platform would send, and says how it was answered."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from app.cli.callbacks import Answered, Signed
from app.cli.demo.configuration import toml_value
from app.cli.sending import Outcome
from app.platforms.kit.callback import Forged
from app.platforms.kit.examples import example_source, signing_keys, templates
from tests.cli.conftest import (
    PLATFORMS,
    Vouch,
    adapter_of,
    any_platform,
    example_options,
    is_secret,
)
from tests.platforms.test_pairs import public_half
from tests.receiver import Receiver

CASES = [(platform, name) for platform in PLATFORMS for name in templates(platform)]
UNDONE = [(p, n) for p, n in CASES if any(e.get("undone") for e in templates(p)[n].expect)]
CLOSED = "http://127.0.0.1:9"


def first(platform: str) -> str:
    return next(iter(templates(platform)))


def distinguishing(platform: str) -> str:
    """An example whose events are told apart by ids; where the platform sends none, any."""
    found = (n for n, t in templates(platform).items() if "{id}" in t.expect[0].get("key", ""))
    return next(found, first(platform))


def targeted(platform: str) -> str:
    """An example of an action on the target itself."""
    named = ((n, t.expect[0].get("target")) for n, t in templates(platform).items())
    found = next((name for name, target in named if target == "{target}"), None)
    return found or pytest.skip("none of its examples is of an action on a target itself")


def configure(monkeypatch: pytest.MonkeyPatch, path: Path, platform: str, *, rule: str = "") -> str:
    """A configuration with two sources of the platform, whose secrets are in files."""
    source = example_source(platform)
    names = [f"{source['name']}-eu", f"{source['name']}-us"]
    text = rule
    for name in names:
        lines = [f'[[sources]]\nname = "{name}"\nplatform = "{platform}"']
        for key, value in source.items():
            if key not in ("name", "platform"):
                told = _references(path, key, value) if is_secret(platform, key) else value
                lines.append(f"{key} = {toml_value(told)}")
        text += "\n".join(lines) + "\n"
    (path / "vouch.toml").write_text(text, "utf-8")
    monkeypatch.setenv("VOUCH_CONFIG", str(path / "vouch.toml"))
    return names[0]


def _references(path: Path, key: str, value: Any) -> Any:
    values = value if isinstance(value, list) else [value]
    for number, one in enumerate(values):
        (path / f"{key}{number}").write_text(one + "\n", "utf-8")
    references = [f"file:{key}{number}" for number in range(len(values))]
    return references if isinstance(value, list) else references[0]


@pytest.mark.parametrize(("platform", "name"), CASES)
def test_every_example_is_sent_so_that_the_platform_is_believed(
    run: Vouch, receiver: Receiver, platform: str, name: str
) -> None:
    asked = [*example_options(platform), "--url", receiver.url, "--actor", "41", "--target", "42"]

    result = run("send", platform, name, *asked, "--key", "43", "--json")

    told = json.loads(result.stdout)
    (callback,) = receiver.callbacks
    adapter = adapter_of(platform)
    adapter.verify(callback)
    events = adapter.read(callback).events
    assert result.exit_code == 0
    assert told["answers"] == {"204": 1}
    expected = [(one["key"], "41", one["target"]) for one in told["events"]]
    assert [(event.key, event.actor, event.target) for event in events] == expected
    assert events


@any_platform
def test_the_configured_source_signs_and_is_sent_to(
    run: Vouch,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    platform: str,
) -> None:
    name = configure(monkeypatch, tmp_path, platform)

    result = run("send", platform, first(platform), "--url", receiver.url)

    assert result.exit_code == 0
    assert [path for path, _ in receiver.received] == [f"/webhooks/{name}"]
    adapter_of(platform).verify(receiver.callbacks[0])


@any_platform
def test_a_source_can_be_chosen(
    run: Vouch,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    platform: str,
) -> None:
    other = configure(monkeypatch, tmp_path, platform).replace("-eu", "-us")
    asked = ["send", platform, first(platform), "--url", receiver.url]

    chosen, unknown = run(*asked, "--source", other), run(*asked, "--source", "nowhere")

    assert chosen.exit_code == 0
    assert receiver.received[0][0] == f"/webhooks/{other}"
    assert unknown.exit_code == 2
    assert other in unknown.stderr


@any_platform
def test_the_target_is_the_one_that_a_rule_asks_for(
    run: Vouch,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    platform: str,
) -> None:
    name = targeted(platform)
    action = templates(platform)[name].expect[0]["action"]
    rule = f'[[rules]]\nchallenge_id = 1\nplatform = "{platform}"\naction = "{action}"\n'
    configure(monkeypatch, tmp_path, platform, rule=rule + 'target = "777"\n')

    run("send", platform, name, "--url", receiver.url)

    assert adapter_of(platform).read(receiver.callbacks[0]).events[0].target == "777"


@any_platform
def test_a_forged_callback_is_one_that_the_adapter_refuses(
    run: Vouch, receiver: Receiver, platform: str
) -> None:
    receiver.status = 403
    receiver.body = json.dumps({"detail": "The signature is wrong."}).encode()
    asked = [*example_options(platform), "--url", receiver.url, "--forge"]

    result = run("send", platform, first(platform), *asked)

    assert result.exit_code == 1
    assert "answer    403 (The signature is wrong.)" in result.stdout
    refused = adapter_of(platform).forged_status
    assert f"a stranger's key: a refusal is answered {refused}, and logged" in result.stdout
    with pytest.raises(Forged):
        adapter_of(platform).verify(receiver.callbacks[0])


ADDRESSED = [(p, key) for p in PLATFORMS for key in templates(p)[first(p)].stands_for]


@pytest.mark.parametrize(("platform", "key"), ADDRESSED)
def test_an_example_is_addressed_to_the_source_as_configured(
    run: Vouch, receiver: Receiver, platform: str, key: str
) -> None:
    word = templates(platform)[first(platform)].stands_for[key]
    other = word[0] + word[:0:-1]
    options = [part for part in example_options(platform) if part != f"{key}={word}"]
    if len(options) < len(example_options(platform)):
        options.remove("--set")
    asked = [*options, "--set", f"{key}={other}", "--url", receiver.url, "--json"]

    told = {n: json.loads(run("send", platform, n, *asked).stdout) for n in templates(platform)}

    assert told[first(platform)]["events"]
    for one in told.values():
        assert bool(one["events"]) != bool(one["ignored"])


@pytest.mark.parametrize("platform", [p for p, key in ADDRESSED if key == "names"])
def test_what_is_told_is_what_the_source_makes_of_it(
    run: Vouch, receiver: Receiver, platform: str
) -> None:
    """The example mentions an account, which this source does not name as its own."""
    options = [part for part in example_options(platform) if not part.startswith("names=")]
    options.remove("--set")

    result = run("send", platform, "mention", *options, "--url", receiver.url, "--json")

    (event,) = json.loads(result.stdout)["events"]
    assert event["action"] != "mention"
    assert event["key"].partition(":")[0] != "mention"


@any_platform
def test_an_actor_that_no_platform_has_is_sent_and_told_as_it_is_read(
    run: Vouch, receiver: Receiver, platform: str
) -> None:
    asked = [*example_options(platform), "--url", receiver.url, "--actor", 'a"<\n' * 100]

    result = run("send", platform, first(platform), *asked, "--json")

    told = json.loads(result.stdout)
    assert result.exit_code == 0
    assert not told["events"]
    assert "it cannot be read: " in told["ignored"][0]


@any_platform
def test_many_are_by_numbered_actors_with_ids_of_their_own(
    run: Vouch, receiver: Receiver, platform: str
) -> None:
    asked = [*example_options(platform), "--url", receiver.url, "--count", "20"]

    result = run("send", platform, distinguishing(platform), *asked)

    adapter = adapter_of(platform)
    events = [adapter.read(callback).events[0] for callback in receiver.callbacks]
    assert result.exit_code == 0
    assert {event.actor for event in events} == {f"actor-{n}" for n in range(1, 21)}
    assert len({event.key for event in events}) == 20
    assert result.stdout.startswith(f"20 x POST {receiver.url}/webhooks/{platform} in ")
    assert "answers   20 x 204" in result.stdout
    assert "latency   p50 " in result.stdout
    assert ", p99 " in result.stdout


@any_platform
def test_without_a_place_for_the_number_all_are_the_same(
    run: Vouch, receiver: Receiver, platform: str
) -> None:
    asked = ["--actor", "me", "--key", "k", "--target", "t-{n}", "--count", "3"]

    run("send", platform, distinguishing(platform), *example_options(platform), *asked,
        "--url", receiver.url)  # fmt: skip

    adapter = adapter_of(platform)
    events = [adapter.read(callback).events[0] for callback in receiver.callbacks]
    assert {event.actor for event in events} == {"me"}
    target = str(templates(platform)[distinguishing(platform)].expect[0].get("target"))
    assert {str(event.target) for event in events} == {
        target.replace("{target}", f"t-{n}").replace("{id}", "k") for n in (1, 2, 3)
    }


def test_a_rate_is_kept(run: Vouch, receiver: Receiver) -> None:
    platform = PLATFORMS[0]
    asked = [*example_options(platform), "--url", receiver.url, "--count", "6", "--rate", "20"]
    began = time.monotonic()

    told = json.loads(run("send", platform, first(platform), *asked, "--json").stdout)

    assert time.monotonic() - began >= 0.25
    assert told["seconds"] >= 0.25
    assert told["count"] == 6
    assert told["latencyMs"]["p50"] <= told["latencyMs"]["p99"]
    assert told["events"] is None


def test_an_answer_that_is_not_2xx_fails_the_command(run: Vouch, receiver: Receiver) -> None:
    receiver.status = 503
    platform = PLATFORMS[0]

    result = run("send", platform, first(platform), *example_options(platform), "--url",
                 receiver.url, "--count", "2")  # fmt: skip

    assert result.exit_code == 1
    assert "2 x 503" in result.stdout


def test_no_answer_fails_the_command_and_is_told(run: Vouch) -> None:
    platform = PLATFORMS[0]
    asked = ["send", platform, first(platform), *example_options(platform), "--url", CLOSED]

    result = run(*asked)

    assert result.exit_code == 1
    assert "no answer: ConnectionError" in result.stdout
    assert json.loads(run(*asked, "--json").stdout)["unanswered"] == 1


@any_platform
def test_the_list_names_every_example_and_where_it_is_documented(run: Vouch, platform: str) -> None:
    listed, as_json = run("send", platform, "--list"), run("send", platform, "--list", "--json")

    named = [row["action"] for row in json.loads(as_json.stdout)]
    assert listed.exit_code == as_json.exit_code == 0
    assert named == list(templates(platform))
    assert all(name in listed.stdout for name in named)
    assert all(t.seen_at in listed.stdout for t in templates(platform).values())


@any_platform
@pytest.mark.parametrize("action", [(), ("nonsense",)])
def test_without_a_known_action_the_known_ones_are_told(
    run: Vouch, platform: str, action: tuple[str, ...]
) -> None:
    result = run("send", platform, *action)

    assert result.exit_code == 2
    assert all(name in " ".join(result.stderr.split()) for name in templates(platform))


@pytest.mark.parametrize(
    "wrong",
    [("--url", "nowhere"), ("--count", "0"), ("--rate", "0"), ("--set", "x")],
)
def test_what_is_asked_wrongly_is_a_usage_error(run: Vouch, wrong: tuple[str, ...]) -> None:
    platform = PLATFORMS[0]

    result = run("send", platform, first(platform), *example_options(platform), *wrong)

    assert result.exit_code == 2


@any_platform
def test_nothing_is_signed_with_the_examples_own_secret(run: Vouch, platform: str) -> None:
    result = run("send", platform, first(platform), "--set", "tolerance_seconds=60")

    assert result.exit_code == 2
    assert "secret" in result.stderr


def test_a_platform_that_is_not_configured_is_a_usage_error(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    configured, other = PLATFORMS[0], PLATFORMS[1]
    configure(monkeypatch, tmp_path, configured)

    result = run("send", other, first(other))

    assert result.exit_code == 2
    assert f"has no source of {other}" in " ".join(result.stderr.split())


def test_a_secret_is_never_printed(run: Vouch, receiver: Receiver) -> None:
    for platform in PLATFORMS:
        result = run("send", platform, first(platform), *example_options(platform), "--url",
                     receiver.url)  # fmt: skip

        secrets = example_source(platform)["secrets"]
        assert all(secret not in result.output for secret in secrets)


def test_a_latency_share_is_the_nearest_rank() -> None:
    signed = Signed(body=b"", headers={}, query={}, events=())
    answers = [(signed, Answered(204, n / 1000)) for n in range(1, 101)]

    outcome = Outcome(answers, 1.0)

    assert (outcome.latency_ms(0.5), outcome.latency_ms(0.99)) == (50.0, 99.0)
    assert Outcome(answers[:1], 1.0).latency_ms(0.99) == 1.0


@pytest.mark.parametrize(("platform", "name"), UNDONE)
def test_an_undone_action_is_told_as_one(
    run: Vouch, receiver: Receiver, platform: str, name: str
) -> None:
    result = run("send", platform, name, *example_options(platform), "--url", receiver.url)

    assert " undone by actor-1" in result.stdout


@pytest.mark.parametrize("platform", [name for name in PLATFORMS if signing_keys(name)])
def test_for_a_key_pair_that_is_the_platforms_own_nothing_can_be_signed(
    run: Vouch, platform: str
) -> None:
    adapter = adapter_of(platform)
    stranger = adapter.schemes[0].stranger()
    public = public_half(stranger).decode()
    others = [part for part in example_options(platform) if "secret" not in part]
    others = [part for part in others if part not in example_source(platform)["secrets"]]

    result = run("send", platform, first(platform), "--secret", public, *others)

    assert result.exit_code == 2
    assert "the public key of our example" in " ".join(result.stderr.split())
