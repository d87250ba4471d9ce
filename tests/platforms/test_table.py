"""Is what docs/platforms.md says of pushes and terms what the adapters do and say?"""

import re
from pathlib import Path

import pytest

from app.platforms import adapters
from app.platforms.kit.adapter import MOST_UNPROVEN_PARTS
from app.platforms.kit.event_mappings import EventMapping
from app.platforms.kit.examples import templates

PAGE = (Path(__file__).parents[2] / "docs" / "platforms.md").read_text("utf-8")
COLUMNS = {
    "follow, subscribe": {"follow", "subscribe", "join"},
    "join": {"join", "join-request"},
    "like, reaction": {"like", "star"},
    "share, repost": {"share", "repost", "quote", "fork"},
    "comment, reply": {"comment", "reply", "message"},
    "mention": {"mention"},
    "post": {"post"},
    "paid support": {
        "cheer",
        "gift",
        "renew",
        "purchase",
        "sponsor",
        "donate",
        "subscribe",
        "boost",
    },
}


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    lines = [line for line in section(title).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


HEAD, *PROVEN = rows("What each platform can prove")
ROWS = {row[0].strip("`"): dict(zip(HEAD[1:], row[1:], strict=True)) for row in PROVEN}


def pushed(platform: str) -> set[str]:
    return {event["action"] for one in templates(platform).values() for event in one.expect}


def is_forbidden(platform: str, actions: set[str]) -> bool:
    terms = adapters()[platform].terms
    return any(one.speak_against(action) for one in terms for action in actions)


def test_every_platform_has_a_row_or_sends_what_its_partner_likes() -> None:
    rest = set(
        re.findall(r"`([a-z-]+)`", section("What each platform can prove").split("| \n")[-1])
    )

    assert set(ROWS) <= set(adapters())
    assert set(adapters()) - set(ROWS) <= rest


@pytest.mark.parametrize("platform", ROWS)
def test_a_cell_says_pushed_where_an_example_is_of_such_an_action(platform: str) -> None:
    for column, of_column in COLUMNS.items():
        cell, actions = ROWS[platform][column], pushed(platform) & of_column

        named = set(re.findall(r"`([a-z-]+)`", cell))
        assert named <= pushed(platform), column
        if "pushed" in cell:
            assert actions, column
        else:
            # The same word may stand in another column as well.
            assert all(named_elsewhere(platform, action, column) for action in actions), column


def named_elsewhere(platform: str, action: str, column: str) -> bool:
    others = (other for other in COLUMNS if other != column and action in COLUMNS[other])
    return any("pushed" in ROWS[platform][other] for other in others)


@pytest.mark.parametrize("platform", ROWS)
def test_every_action_that_is_pushed_has_a_place(platform: str) -> None:
    in_columns = {action for column in COLUMNS for action in COLUMNS[column]}
    rest = set(re.findall(r"`([a-z-]+)`", ROWS[platform]["else, pushed"]))

    assert rest == pushed(platform) - in_columns


@pytest.mark.parametrize("platform", ROWS)
def test_a_cell_has_a_dagger_where_the_terms_speak_against_it(platform: str) -> None:
    for column, actions in COLUMNS.items():
        cell = ROWS[platform][column]

        proofs = cell.count("pushed") + cell.count("checkable")
        assert cell.count("†") == (proofs if is_forbidden(platform, actions) else 0), column


@pytest.mark.parametrize("platform", sorted(adapters()))
def test_the_terms_that_are_declared_stand_in_the_table_of_terms(platform: str) -> None:
    told = next(row for row in rows("What the terms say") if f"`{platform}`" in row[0])
    terms = adapters()[platform].terms

    assert bool(terms) is (told[1] not in ("none", "unknown"))
    assert all(one.source in told[3] for one in terms)


def test_what_is_read_before_the_proof_stands_in_its_table() -> None:
    limits = {name: one.unproven_bytes for name, one in adapters().items() if one.unproven_bytes}

    told = {row[0].strip("`"): row[1] for row in rows("Body limits before verification")}

    assert told.items() >= {name: f"{most // 1024} KiB" for name, most in limits.items()}.items()
    assert f"{MOST_UNPROVEN_PARTS:,}" in section("Body limits before verification")


@pytest.mark.parametrize("platform", sorted(adapters()))
def test_what_a_platform_is_answered_stands_in_the_table_of_answers(platform: str) -> None:
    kind = adapters()[platform]
    body = f" `{kind.accepted.body}`" if kind.accepted.body else ""
    taken, within = f"{kind.accepted.status}{body}", f"{kind.deadline_seconds:g} s"

    wanted = [f"`{platform}`", taken, str(kind.forged_status), str(kind.malformed_status), within]
    assert wanted in rows("Answers and deadlines"), f"write: | {' | '.join(wanted)} |"


KEYED = "Event keys, other ids, and undoing"
APART = [
    (platform.strip("`"), action, other, target, undoing)
    for platform, actions, _, other, target, undoing in (r for r in rows(KEYED) if len(r) == 6)
    for action in re.findall(r"`([a-z-]+)`", actions)
]


def kinds_of(platform: str, action: str) -> list[EventMapping]:
    return [kind for kind in adapters()[platform].kinds.values() if kind.action == action]


@pytest.mark.parametrize("platform", sorted(adapters()))
def test_every_action_says_what_its_key_is_made_of(platform: str) -> None:
    told = [action for one, action, *_ in APART if one == platform]

    assert sorted(told) == sorted({kind.action for kind in adapters()[platform].kinds.values()})


@pytest.mark.parametrize(("platform", "action", "other", "target", "undoing"), APART)
def test_a_row_says_which_other_names_there_are_and_what_an_undoing_names(
    platform: str, action: str, other: str, target: str, undoing: str
) -> None:
    kinds = kinds_of(platform, action)
    undone = [kind for kind in kinds if kind.undone]

    assert (other != "—") is any(kind.aliases for kind in kinds)
    assert (target != "—") is any(kind.target_aliases for kind in kinds)
    assert undoing.startswith("—") is (not undone)
    for kind in undone:
        assert undoing.startswith("that action only") is (kind.undoes is not None)
        assert undoing.startswith("account and target") is (kind.undoes is kind.thing is None)


@pytest.mark.parametrize("cells", [2, 6])
def test_every_platform_stands_in_the_tables_of_keys_and_of_what_is_left_out(cells: int) -> None:
    both = [*rows(KEYED), *rows("What is ignored")]
    told = {row[0].strip("`") for row in both if len(row) == cells} - {"platform"}

    assert told == set(adapters())
