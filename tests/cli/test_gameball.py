"""Do the commands speak of what tells of rewards, which no rule is about?"""

import json
from pathlib import Path

import pytest

from app.cli.verdicts import described
from app.platforms.kit.examples import example_source
from tests.cli.conftest import Vouch, adapter_of, example_options
from tests.receiver import Receiver

SOURCE = """
[[sources]]
name = "gameball"
platform = "gameball"
secrets = ["file:key"]
automation_secrets = ["file:automation"]

[[rules]]
challenge_id = 11664
platform = "instagram"
action = "follow"
evidence = "claimed"
"""


def configure(monkeypatch: pytest.MonkeyPatch, text: str = SOURCE) -> None:
    Path("key").write_text("our-secret-key-of-gameball")
    Path("automation").write_text("an-automation-secret-of-ours")
    Path("vouch.toml").write_text(text)
    monkeypatch.setenv("VOUCH_CONFIG", "vouch.toml")


def test_a_reward_is_sent_with_the_secret_in_its_header(run: Vouch, receiver: Receiver) -> None:
    asked = [*example_options("gameball"), "--actor", "ann", "--target", "11664"]

    result = run("send", "gameball", "reward", *asked, "--url", receiver.url)

    [sent] = receiver.callbacks
    adapter = adapter_of("gameball")
    adapter.verify(sent)
    [nudge] = adapter.read(sent).nudges
    assert result.exit_code == 0
    assert (nudge.customer_id, nudge.challenge_id) == ("ann", 11664)
    assert f"nudge     {described(nudge)}" in result.stdout
    assert sent.header("x-vouch-secret") == example_source("gameball")["automation_secrets"][0]


def test_the_campaign_is_the_first_that_a_rule_is_for(
    run: Vouch, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch)

    told = json.loads(
        run(
            "send",
            "gameball",
            "reward",
            "--url",
            receiver.url,
            "--json",
        ).stdout
    )

    assert told["events"] == []
    assert told["nudges"] == [{"customerId": "actor-1", "challengeId": 11664, "isProof": False}]


def test_verify_says_what_it_makes_us_do(run: Vouch) -> None:
    Path("body").write_text(
        '{"event":"reward_campaign.achieved","customer_id":"ann","campaign_id":7}'
    )
    secret = example_source("gameball")["automation_secrets"][0]
    asked = [*example_options("gameball"), "--header", f"X-Vouch-Secret: {secret}"]

    result = run("verify", "gameball", *asked, "--body-file", "body")

    assert result.exit_code == 0
    assert result.stdout.startswith("valid: gameball signed this\n")
    assert "nudge     look now at the reward of campaign 7 of ann" in result.stdout


def test_verify_says_why_not(run: Vouch) -> None:
    Path("body").write_text("{}")
    asked = [*example_options("gameball"), "--header", "X-GB-Signature: 00"]

    assert run("verify", "gameball", *asked, "--body-file", "body").exit_code == 1


def test_check_wants_no_rule_for_it(run: Vouch, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch)

    findings = json.loads(run("check", "--offline", "--json").stdout)["findings"]

    assert not [one for one in findings if one["place"].startswith("sources[")]


def test_check_warns_of_believing_it_alone(run: Vouch, monkeypatch: pytest.MonkeyPatch) -> None:
    told = 'platform = "gameball"\nproves_grants = true\n'
    configure(monkeypatch, SOURCE.replace('platform = "gameball"\n', told))

    findings = json.loads(run("check", "--offline", "--json").stdout)["findings"]

    [warned] = [one for one in findings if one["place"].startswith("sources[")]
    assert warned["level"] == "warning"
    assert "proves_grants" in warned["place"]
