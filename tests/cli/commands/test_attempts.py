"""`vouch attempts` reads and acts on the same history as the API."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import Connection, insert, update

from app.domain.attempts import State
from app.domain.clock import new_id
from app.domain.events import Event
from app.domain.evidence import Evidence
from app.domain.roles import Role
from app.domain.rules import Rule
from app.schemas.attempt_lines import line
from app.schemas.attempts import attempt
from app.schemas.serialise import as_json
from app.steps import bulk, history
from app.steps.claims import Claim, claim
from app.steps.identities import Identity, link
from app.steps.intake import Arrival, receive
from app.steps.transitions import change_state
from app.storage.database import Database
from app.storage.tables import AttemptRow, SubmissionRow
from tests.cli.conftest import Vouch
from tests.keys import KEYS

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
RULE = Rule(challenge_id=7, platform="somewhere", action="follow")
EVENT = Event(
    source="here",
    key="k1",
    platform="somewhere",
    action="follow",
    actor="account-1",
    occurred_at=NOW - timedelta(minutes=5),
    received_at=NOW - timedelta(minutes=5),
    payload=b'{"who": "\x1b[31mred", "half": "\\ud800"}',
    actor_handle="jo",
    target="page",
)


@dataclass
class History:
    """A database with one attempt of each sort, by name."""

    database: Database
    ids: dict[str, str]


@pytest.fixture
def past(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[History]:
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    monkeypatch.setenv("VOUCH_SECRET_KEYS", ",".join(KEYS))
    database = Database(sqlite_url, secret_keys=KEYS)
    history = History(database, {})
    ann = Identity(
        platform="somewhere", account_id="account-1", customer_id="ann", email="ann@example.com"
    )
    database.write(lambda c: link(c, ann, "test", NOW))
    _receive(history, "due", EVENT)
    _receive(history, "duplicate", replace(EVENT, key="k2"))
    _receive(history, "unlinked", replace(EVENT, key="k3", actor="account-2"))
    _receive(history, "dead", replace(EVENT, key="k4", source="there"), challenge_id=8)
    _move(history, "dead", State.DEAD)
    yield history
    database.close()


def _receive(history: History, name: str, event: Event, challenge_id: int = 7) -> None:
    """Each a minute after the one before."""
    later = EVENT.received_at + timedelta(minutes=len(history.ids))
    event = replace(event, received_at=later)
    arrival = Arrival(event, (replace(RULE, challenge_id=challenge_id),), later + timedelta(days=1))
    history.database.write_each(receive, [arrival])
    newest = AttemptRow.__table__.select().order_by(AttemptRow.id.desc()).limit(1)
    with history.database.read() as connection:
        history.ids[name] = connection.execute(newest).one().id


def _move(history: History, name: str, to: State) -> None:
    give_up = partial(change_state, reason="given up", caused_by="test", now=NOW)
    history.database.write(lambda c: give_up(c, history.ids[name], State.DUE, to))


def state_of(history: History, name: str) -> str:
    found = AttemptRow.__table__.select().where(AttemptRow.id == history.ids[name])
    with history.database.read() as connection:
        return str(connection.execute(found).one().state)


def listed(run: Vouch, *options: str) -> list[str]:
    result = run("attempts", "list", "--json", *options)
    assert result.exit_code == 0
    return [item["id"] for item in json.loads(result.stdout)["items"]]


def test_the_list_is_newest_first(run: Vouch, past: History) -> None:
    names = ["dead", "unlinked", "duplicate", "due"]

    assert listed(run) == [past.ids[name] for name in names]


def test_the_list_for_people_fits_a_terminal(run: Vouch, past: History) -> None:
    lines = run("attempts", "list").stdout.splitlines()

    assert len(lines) == 5
    # Six more than a hundred: the year and the zone of a time.
    assert all(len(line) <= 106 for line in lines)
    assert lines[1].startswith(past.ids["dead"][:18])
    assert lines[2].split()[3:] == [
        "unlinked", "-", "7", "somewhere", "follow", "account-2",
    ]  # fmt: skip


def test_lines_say_what_the_api_says(past: History) -> None:
    with past.database.read() as connection:
        rows = history.page(connection, history.Filter(), 10)
    granted = SimpleNamespace(
        **{
            **vars(rows[0]),
            "granted_points": 50.0,
            "granted_coupon": "C-1",
            "claimed": '{"a": 1}',
            "lease_until": NOW,
        }
    )

    for row in (*rows, granted):
        assert line(row) == json.loads(as_json(attempt(row, Role.ADMIN)))


def test_a_list_without_a_database_makes_none_and_says_where_it_looked(
    run: Vouch, tmp_path: Path
) -> None:
    for arguments in (
        ("attempts", "list"),
        ("attempts", "list", "--state", "dead"),
        ("events", "list"),
        ("audit",),
        ("alerts", "list"),
        ("identities", "list", "--customer", "ann"),
        ("keys", "list"),
        ("keys", "revoke", "x"),
    ):
        result = run(*arguments)

        assert result.exit_code == 1
        assert f"there is no database at {tmp_path}/var/vouch.db" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_empty_list_says_so(run: Vouch, past: History) -> None:
    assert run("attempts", "list", "--customer", "nobody").stdout == "No attempt is like that.\n"


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--customer", "ann"), {"dead", "duplicate", "due"}),
        (("--challenge", "8"), {"dead"}),
        (("--source", "there"), {"dead"}),
        (("--platform", "somewhere"), {"dead", "unlinked", "duplicate", "due"}),
        (("--action", "share"), set()),
        (("--state", "due,unlinked"), {"due", "unlinked"}),
        (("--state", "dead"), {"dead"}),
        (("--evidence", "signed"), {"dead", "unlinked", "duplicate", "due"}),
        (("--evidence", "claimed"), set()),
        (("--account", "account-2"), {"unlinked"}),
        (("--from", (NOW - timedelta(seconds=210)).isoformat()), {"dead", "unlinked"}),
        (("--to", (NOW - timedelta(seconds=210)).isoformat()), {"duplicate", "due"}),
        (("--from", (NOW + timedelta(days=1)).isoformat()), set()),
        (("--search", "k3"), {"unlinked"}),
        (("--customer", "ann", "--state", "due"), {"due"}),
    ],
)
def test_every_filter_leaves_the_others_out(
    run: Vouch, past: History, options: tuple[str, ...], names: set[str]
) -> None:
    assert set(listed(run, *options)) == {past.ids[name] for name in names}


def test_pages_follow_one_another_by_their_cursor(run: Vouch, past: History) -> None:
    first = json.loads(run("attempts", "list", "--limit", "3", "--json").stdout)

    second = json.loads(
        run("attempts", "list", "--limit", "3", "--json", "--cursor", first["nextCursor"]).stdout
    )

    assert len(first["items"]) == 3
    assert [item["id"] for item in second["items"]] == [past.ids["due"]]
    assert second["nextCursor"] is None
    assert first["nextCursor"] in run("attempts", "list", "--limit", "3").stdout


@pytest.mark.parametrize(
    ("options", "option"),
    [
        (("--state", "nonsense"), "--state"),
        (("--challenge", "x"), "--challenge"),
        (("--evidence", "x"), "--evidence"),
        (("--action", "Not One"), "--action"),
        (("--from", "soon"), "--from"),
        (("--cursor", "x"), "--cursor"),
        (("--limit", "0"), "--limit"),
        (("--customer", ""), "--customer"),
    ],
)
def test_a_wrong_criterion_is_a_usage_error_that_names_it(
    run: Vouch, past: History, options: tuple[str, ...], option: str
) -> None:
    result = run("attempts", "list", *options)

    assert result.exit_code == 2
    assert option in result.stderr


def test_one_attempt_is_shown_in_full(run: Vouch, past: History) -> None:
    told = json.loads(run("attempts", "show", past.ids["dead"], "--json").stdout)

    assert told["id"] == past.ids["dead"]
    assert told["hasEmail"] is True
    assert told["event"]["key"] == "k4"
    assert [step["toState"] for step in told["timeline"]] == ["due", "dead"]
    assert told["submissions"] == []


def test_one_attempt_is_shown_to_people(run: Vouch, past: History) -> None:
    result = run("attempts", "show", past.ids["dead"])

    assert result.exit_code == 0
    for words in (
        "state      dead: given up",
        "customer   ann (email known)",
        "action     follow of page by account-1 on somewhere",
        "actor     account-1 (jo)",
        "due -> dead",
        "submissions to Gameball\n  none",
    ):
        assert words in result.stdout
    assert "ann@example.com" not in result.stdout


def test_its_submissions_are_shown_to_people(run: Vouch, past: History) -> None:
    told = {"worker": "w", "fence": 1, "round": 0, "resolved": False, "started_at": NOW}
    answer = {"ended_at": NOW, "outcome": "permanent", "status": 400, "code": 3000}
    row = {**told, **answer, "attempt_id": past.ids["dead"], "message": "customer id is missing"}
    past.database.write(lambda c: c.execute(insert(SubmissionRow).values(row)))

    result = run("attempts", "show", past.ids["dead"])

    (line,) = (line for line in result.stdout.splitlines() if "customer id is missing" in line)
    assert line.split()[2:5] == ["permanent", "400", "3000"]


def test_a_claim_is_told_with_what_the_customer_said(run: Vouch, past: History) -> None:
    trusting = replace(RULE, evidence=Evidence.CLAIMED, hold_seconds=60)
    made = Claim(
        token_id=new_id(NOW),
        customer_id="eve",
        challenge_id=7,
        rule=trusting,
        statement={"url": "https://a.example"},
    )
    claimed, _ = past.database.write(lambda c: claim(c, made, NOW, NOW))

    listed, shown = run("attempts", "list", "--customer", "eve"), run("attempts", "show", claimed)

    assert "follow (claimed)" in listed.stdout
    assert 'claimed    {"url": "https://a.example"}' in shown.stdout
    assert "next       20" in shown.stdout
    assert "source     none: a claim" in shown.stdout


def test_what_a_stranger_sent_cannot_steer_the_terminal(run: Vouch, past: History) -> None:
    result = run("attempts", "show", past.ids["due"])

    assert "\x1b[31m" not in result.stdout
    assert "\\u001b[31mred" in result.stdout


def test_the_beginning_of_an_id_is_enough(run: Vouch, past: History) -> None:
    told = json.loads(run("attempts", "show", past.ids["due"][:18].upper(), "--json").stdout)

    assert told["id"] == past.ids["due"]


@pytest.mark.parametrize("attempt_id", ["nonsense", "0000000000", "ann"])
def test_an_unknown_attempt_is_an_error(run: Vouch, past: History, attempt_id: str) -> None:
    result = run("attempts", "show", attempt_id)

    assert result.exit_code == 1
    assert "no attempt has the id" in result.stderr


def test_a_beginning_that_several_have_is_an_error_that_names_them(
    run: Vouch, past: History
) -> None:
    # Ids begin with their time: these were all made within some minutes.
    result = run("attempts", "show", past.ids["due"][:8])

    found = [one for one in past.ids.values() if one.startswith(past.ids["due"][:8])]
    assert result.exit_code == (0 if len(found) == 1 else 1)
    assert all(one in result.output for one in found)


def test_a_dead_attempt_that_is_replayed_is_due_again(run: Vouch, past: History) -> None:
    result = run("attempts", "replay", past.ids["dead"][:18])

    assert result.exit_code == 0
    assert result.stdout == "1 of 1 attempts are due again.\n"
    assert state_of(past, "dead") == "due"
    told = json.loads(run("attempts", "show", past.ids["dead"], "--json").stdout)
    assert told["timeline"][-1]["causedBy"].startswith("cli")


def test_one_that_cannot_be_replayed_fails_the_command_and_no_other(
    run: Vouch, past: History
) -> None:
    result = run("attempts", "replay", past.ids["due"], past.ids["dead"])

    assert result.exit_code == 1
    assert result.stdout == "1 of 2 attempts are due again.\n"
    assert f"{past.ids['due']}: an attempt that is due cannot be replayed" in result.stderr


def test_a_replay_by_filter_asks_first(run: Vouch, past: History) -> None:
    refused = run("attempts", "replay", "--customer", "ann", stdin="n\n")
    state = state_of(past, "dead")
    agreed = run("attempts", "replay", "--customer", "ann", stdin="y\n")

    assert refused.exit_code == 1
    assert "Replay 1 attempts?" in refused.stderr
    assert state == "dead"
    assert agreed.exit_code == 0
    assert state_of(past, "dead") == "due"


def test_a_dry_run_only_counts(run: Vouch, past: History) -> None:
    result = run("attempts", "replay", "--all", "--dry-run")
    named = run("attempts", "replay", past.ids["dead"], "--dry-run")

    assert result.stdout == named.stdout == "1 attempts would be replayed.\n"
    assert state_of(past, "dead") == "dead"


def test_a_replay_by_filter_can_be_told_as_json(run: Vouch, past: History) -> None:
    result = run("attempts", "replay", "--state", "dead", "--yes", "--json")

    told = json.loads(result.stdout)
    assert told.pop("bulk")
    assert told == {"matched": 1, "replayed": 1, "refused": {}}


def test_a_replay_of_more_than_a_page_takes_all(
    run: Vouch, past: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.steps.bulk.SLICE", 2)
    for number in range(5):
        _receive(past, f"n{number}", replace(EVENT, key=f"n{number}"), challenge_id=100 + number)
        _move(past, f"n{number}", State.DEAD)
    # Each is made a minute after the one before.
    monkeypatch.setattr("app.cli.local.utc_now", lambda: NOW + timedelta(hours=1))

    result = run("attempts", "replay", "--all", "--yes")

    assert result.stdout == "6 of 6 attempts are due again.\n"


def test_a_job_that_another_process_works_on_is_waited_for(
    run: Vouch, past: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, in_other_hands = bulk.advance, [1, 2]

    def advance(connection: Connection, job: str, now: datetime) -> bool:
        return real(connection, job, now) if not in_other_hands else not in_other_hands.pop()

    monkeypatch.setattr(bulk, "advance", advance)

    result = run("attempts", "replay", "--all", "--yes")

    assert result.stdout == "1 of 1 attempts are due again.\n"


def test_whoever_interrupts_a_replay_stops_it_for_every_process(
    run: Vouch, past: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bulk, "advance", lambda *_: False)
    monkeypatch.setattr("app.cli.local.time.sleep", interrupted)

    result = run("attempts", "replay", "--all", "--yes")

    assert result.exit_code == 1
    assert result.stderr == (
        "Error: stopped: 0 of 1 attempts are due again; no other will be replayed\n"
    )
    with past.database.read() as connection:
        assert bulk.running(connection) == []


def test_attempts_that_are_not_paid_can_be_cancelled(run: Vouch, past: History) -> None:
    named = run("attempts", "cancel", past.ids["due"], past.ids["duplicate"])
    filtered = run("attempts", "cancel", "--state", "unlinked", "--yes")

    assert named.exit_code == 1
    assert named.stdout == "1 of 2 attempts are withdrawn.\n"
    assert "an attempt that is duplicate cannot be cancelled" in named.stderr
    assert filtered.stdout == "1 of 1 attempts are withdrawn.\n"
    states = [state_of(past, name) for name in ("due", "unlinked", "dead")]
    assert states == ["withdrawn", "withdrawn", "dead"]


def test_a_cancellation_by_filter_asks_first(run: Vouch, past: History) -> None:
    result = run("attempts", "cancel", "--all", stdin="n\n")

    assert "Cancel 3 attempts?" in result.stderr
    assert state_of(past, "due") == "due"


def test_what_was_done_at_the_terminal_is_audited(run: Vouch, past: History) -> None:
    run("attempts", "replay", past.ids["dead"])
    run("attempts", "cancel", "--state", "unlinked", "--yes")

    told = json.loads(run("audit", "--by", "cli", "--json").stdout)["items"]
    lines = run("audit", "--change", "attempt.replayed").stdout.splitlines()

    changes = [entry["change"] for entry in told]
    assert changes == ["bulk.ended", "bulk.started", "attempt.replayed"]
    assert len(lines) == 2
    assert past.ids["dead"] in lines[1]


def test_the_audit_log_is_told_page_by_page(run: Vouch, past: History) -> None:
    for name in ("due", "unlinked", "dead"):
        run("attempts", "cancel", past.ids[name])

    first = run("audit", "--by", "cli", "--limit", "2").stdout
    cursor = first.rsplit(maxsplit=1)[-1]
    second = run("audit", "--by", "cli", "--limit", "2", "--cursor", cursor).stdout

    assert past.ids["dead"] in first
    assert past.ids["unlinked"] in first
    assert past.ids["due"] in second
    assert "--cursor" not in second


@pytest.mark.parametrize("asked", [("--change", "nothing"), ("--cursor", "x"), ("--from", "y")])
def test_an_audit_that_cannot_be_is_a_usage_error(
    run: Vouch, past: History, asked: tuple[str, ...]
) -> None:
    result = run("audit", *asked)

    assert result.exit_code == 2
    assert asked[0] in result.stderr


def test_an_audit_log_with_nothing_in_it_says_so(run: Vouch, past: History) -> None:
    result = run("audit", "--by", "nobody")

    assert result.stdout == "Nothing was changed that is like that.\n"


def test_what_the_ledger_paid_to_another_is_not_replayed(run: Vouch, past: History) -> None:
    dead = update(AttemptRow).where(AttemptRow.id == past.ids["duplicate"]).values(state="dead")
    past.database.write(lambda c: c.execute(dead))

    result = run("attempts", "replay", past.ids["duplicate"])

    assert result.exit_code == 1
    assert "the award ledger already holds this award" in result.stderr


@pytest.mark.parametrize(
    "asked",
    [(), ("--state", "due"), ("--all", "--customer", "ann"), ("--all", "0000000000")],
)
def test_a_replay_of_everybody_or_of_nobody_is_a_usage_error(
    run: Vouch, past: History, asked: tuple[str, ...]
) -> None:
    result = run("attempts", "replay", *asked)

    assert result.exit_code == 2
    assert state_of(past, "dead") == "dead"


def test_the_export_is_csv_with_a_header(run: Vouch, past: History) -> None:
    result = run("attempts", "export", "--customer", "ann")

    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["id"] for row in rows] == [past.ids[n] for n in ("dead", "duplicate", "due")]
    assert {row["customerId"] for row in rows} == {"ann"}


def test_the_export_is_ndjson_into_a_file(run: Vouch, past: History, tmp_path: Path) -> None:
    path = tmp_path / "attempts.ndjson"

    result = run("attempts", "export", "--format", "ndjson", "--output", str(path))

    lines = path.read_text("utf-8").splitlines()
    assert result.stdout == ""
    assert {json.loads(line)["id"] for line in lines} == set(past.ids.values())


def test_a_database_that_does_not_answer_is_an_error_in_one_line(
    run: Vouch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody:pass-word@127.0.0.1:9/x")
    for command in (("attempts", "list"), ("keys", "list"), ("db", "upgrade")):
        result = run(*command)

        assert result.exit_code == 1
        assert result.stderr.startswith("Error: the database does not answer: ")
        assert "pass-word" not in result.output
        assert result.stderr.count("\n") == 1


def test_it_reads_postgresql_as_well(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)

    assert listed(run, "--search", "anything") == []


def test_show_names_the_attempt_that_holds_the_award_of_a_duplicate(
    run: Vouch, past: History
) -> None:
    result = run("attempts", "show", past.ids["duplicate"])

    assert result.exit_code == 0
    assert past.ids["due"] in result.output
    assert "for the same customer" in result.output
