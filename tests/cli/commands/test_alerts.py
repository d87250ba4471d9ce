"""Does `vouch alerts` tell whether it reaches whom it should?"""

import json
from pathlib import Path

import pytest

from app.domain.alerts import AlertKind, Judgement
from app.domain.clock import utc_now
from app.steps import alerts
from app.storage.database import Database
from tests.cli.conftest import Vouch
from tests.receiver import Receiver

SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
WEBHOOK = '[[receivers]]\nname = "on-call"\nurl = "env:HOOK"\nsecret = "env:SECRET"\n'
SLACK = '[[receivers]]\nname = "chat"\nkind = "slack"\nurl = "env:HOOK"\n'


@pytest.fixture(autouse=True)
def _configured(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str, tmp_path: Path, receiver: Receiver
) -> None:
    path = tmp_path / "alerts.toml"
    path.write_text(WEBHOOK + SLACK)
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    monkeypatch.setenv("VOUCH_CONFIG", str(path))
    monkeypatch.setenv("HOOK", f"{receiver.url}/hook")
    monkeypatch.setenv("SECRET", SECRET)


def test_a_test_reaches_every_receiver_and_is_audited(run: Vouch, receiver: Receiver) -> None:
    result = run("alerts", "test")

    assert result.exit_code == 0
    assert result.stdout == "on-call: sent\nchat: sent\n"
    webhook, slack = receiver.callbacks
    assert json.loads(webhook.body)["data"]["kind"] == "test"
    assert webhook.headers["webhook-signature"].startswith("v1,")
    assert "test" in json.loads(slack.body)["text"]
    [entry] = json.loads(run("audit", "--json").stdout)["items"]
    assert (entry["change"], entry["details"]) == (
        "alerts.tested",
        {"receivers": ["on-call", "chat"]},
    )


def test_a_receiver_that_refuses_fails_the_command(run: Vouch, receiver: Receiver) -> None:
    receiver.status = 403

    result = run("alerts", "test", "--json")

    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"on-call": "answered 403", "chat": "answered 403"}


def test_without_receivers_there_is_nobody_to_test(run: Vouch, tmp_path: Path) -> None:
    (tmp_path / "alerts.toml").write_text("")

    result = run("alerts", "test")

    assert result.exit_code == 1
    assert "nobody is ever woken" in result.stderr


def test_what_was_wrong_is_listed(run: Vouch, sqlite_url: str) -> None:
    nothing = run("alerts", "list").stdout
    database = Database(sqlite_url)
    wrong = {(AlertKind.SOURCE_SILENT, "x"): "x is silent"}
    database.write(lambda c: alerts.settle(c, Judgement(wrong), (), utc_now()))
    database.close()

    lines = run("alerts", "list").stdout.splitlines()
    [told] = json.loads(run("alerts", "list", "--json").stdout)["items"]

    assert "Nothing was ever wrong" in nothing
    assert "source_silent" in lines[1]
    assert (told["kind"], told["subject"], told["clearedAt"]) == ("source_silent", "x", None)
