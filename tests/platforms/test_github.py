"""GitHub: https://docs.github.com/en/webhooks/webhook-events-and-payloads"""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from app.platforms.kit.callback import Reading
from tests.platforms.callbacks import NOW, adapter_of, only_event, reading

OWNER = {"id": 21031067, "login": "Codertocat", "type": "User"}
CAT = {"id": 583231, "login": "octocat", "type": "User"}
REPOSITORY = {"id": 186853002, "full_name": "Codertocat/Hello-World", "owner": OWNER}
STARRED = "2019-05-15T15:20:40Z"


def said(**told: Any) -> Reading:
    return reading(adapter_of("github"), {"repository": REPOSITORY, "sender": CAT, **told})


def test_a_star_has_a_time_and_taking_it_back_has_none() -> None:
    star = only_event(said(action="created", starred_at=STARRED))
    unstar = only_event(said(action="deleted", starred_at=None))

    assert (star.action, star.actor, star.target) == ("star", "583231", "Codertocat/Hello-World")
    assert star.actor_handle == "octocat"
    assert star.occurred_at == datetime(2019, 5, 15, 15, 20, 40, tzinfo=UTC)
    assert (unstar.action, unstar.target, unstar.undone) == ("star", star.target, True)
    assert unstar.occurred_at == NOW


def test_the_same_delivery_under_another_unsigned_id_is_the_same_event() -> None:
    adapter, body = adapter_of("github"), {"action": "created", "starred_at": STARRED}
    told = {"repository": REPOSITORY, "sender": CAT, **body}

    keys = {
        only_event(reading(adapter, told, {"X-GitHub-Delivery": name, "X-GitHub-Event": name})).key
        for name in ("one", "two")
    }

    assert len(keys) == 1


def test_two_stars_are_two_events() -> None:
    keys = {
        only_event(said(action="created", starred_at=at)).key
        for at in (STARRED, "2019-05-16T15:20:40Z")
    }

    assert len(keys) == 2


ON = {"issue": {"number": 7}}, {"discussion": {"number": 7}}
MODERATORS = CAT, OWNER, {"id": 7, "type": "User"}, {"id": 8, "type": "Bot"}


@pytest.mark.parametrize("on", ON, ids=str)
@pytest.mark.parametrize("remover", MODERATORS, ids=lambda one: str(one["id"]))
def test_removing_a_comment_takes_it_back_from_its_author_whoever_removes_it(
    on: dict[str, Any], remover: dict[str, Any]
) -> None:
    comment = {"id": 1, "created_at": STARRED, "user": CAT}

    done = only_event(said(action="created", comment=comment, **on))
    undone = only_event(said(action="deleted", comment=comment, sender=remover, **on))

    assert (done.action, done.target) == ("comment", "Codertocat/Hello-World#7")
    assert (done.actor, done.actor_handle) == ("583231", "octocat")
    assert (undone.undone, undone.actor) == (True, done.actor)
    assert undone.undoes == done.key


def test_removing_a_discussion_takes_it_back_from_its_author() -> None:
    discussion = {"id": 1, "number": 90, "created_at": STARRED, "user": CAT}

    done = only_event(said(action="created", discussion=discussion))
    undone = only_event(said(action="deleted", discussion=discussion, sender=OWNER))

    assert (done.action, done.actor) == ("post", "583231")
    assert (undone.undone, undone.actor, undone.undoes) == (True, done.actor, done.key)


def test_comments_that_are_numbered_apart_are_two_events() -> None:
    comment = {"id": 1, "created_at": STARRED, "user": CAT}

    keys = {only_event(said(action="created", comment=comment, **on)).key for on in ON}

    assert len(keys) == 2


def test_a_sponsorship_names_the_sponsor() -> None:
    sponsorship = {"node_id": "S_1", "created_at": STARRED, "sponsor": CAT, "sponsorable": OWNER}

    done = only_event(said(action="created", sponsorship=sponsorship, repository=None))
    undone = only_event(said(action="cancelled", sponsorship=sponsorship, repository=None))
    changed = said(action="tier_changed", sponsorship=sponsorship, repository=None)

    assert (done.action, done.actor, done.target) == ("sponsor", "583231", "Codertocat")
    assert undone.undoes == done.key
    assert changed.ignored == ("sponsorship.tier_changed earns nothing",)


def test_the_owner_and_bots_earn_nothing() -> None:
    by_owner = said(action="created", starred_at=STARRED, sender=OWNER)
    bot = {**CAT, "type": "Bot"}
    by_bot = said(action="created", starred_at=STARRED, sender=bot)
    told = {"id": 1, "created_at": STARRED, "user": bot}
    comment = said(action="created", comment=told, sender=bot, issue={"number": 7})

    assert by_owner.ignored == ("star.created is by the account itself",)
    assert by_bot.ignored == ("star.created by a bot or an organization",)
    assert comment.ignored == ("comment.created by a bot or an organization",)


@pytest.mark.parametrize("sort", ["Bot", "Organization", "Mannequin"])
def test_only_people_fork_star_and_sponsor(sort: str) -> None:
    other = {"id": 38302899, "login": "Octocoders", "type": sort}
    forkee = {"id": 1, "owner": other, "created_at": STARRED}
    sponsorship = {"node_id": "S_1", "created_at": STARRED, "sponsor": other, "sponsorable": OWNER}

    assert not said(forkee=forkee, sender=other).events
    assert not said(action="created", starred_at=STARRED, sender=other).events
    assert not said(action="created", sponsorship=sponsorship, sender=other).events


def test_a_person_who_forks_for_an_organization_has_forked() -> None:
    owner = {"id": 38302899, "login": "Octocoders", "type": "Organization"}

    event = only_event(said(forkee={"id": 1, "owner": owner, "created_at": STARRED}))

    assert (event.action, event.actor) == ("fork", "583231")


GHOST = None, {"id": 10137, "login": "ghost", "type": "User"}


@pytest.mark.parametrize("ghost", GHOST, ids=str)
def test_what_is_deleted_of_a_deleted_account_names_the_comment(ghost: object) -> None:
    comment = {"id": 1, "created_at": STARRED, "user": CAT}
    on = {"issue": {"number": 7}}

    done = only_event(said(action="created", comment=comment, **on))
    undone = only_event(said(action="deleted", comment={**comment, "user": ghost}, **on))

    assert (undone.undone, undone.undoes) == (True, done.key)


def test_one_star_that_two_webhooks_tell_of_is_one() -> None:
    told = {"action": "created", "starred_at": STARRED}

    one = only_event(said(**told))
    other = only_event(said(**told, organization={"login": "Octocoders", "id": 1}))
    changed = {**REPOSITORY, "full_name": "Codertocat/Renamed", "stargazers_count": 9}
    renamed = only_event(said(**told, repository=changed))

    assert one.key == other.key == renamed.key == f"star.created:583231:186853002:{STARRED}"
    assert len(one.former_keys) == 1


def test_a_rule_may_name_its_target_in_lower_case_or_by_number() -> None:
    names = ("codertocat/hello-world", "186853002")
    sponsorship = {"node_id": "S_1", "created_at": STARRED, "sponsor": CAT, "sponsorable": OWNER}
    comment = {"id": 1, "created_at": STARRED, "user": CAT}
    organization = {"login": "Octocoders", "id": 38302899}
    joined = {"membership": {"user": CAT}, "organization": organization}

    told = [
        said(action="created", starred_at=STARRED),
        said(action="created", comment=comment, issue={"number": 7}),
        said(action="created", sponsorship=sponsorship, repository=None),
        said(action="member_added", **joined, repository=None),
    ]

    assert [only_event(one).target_aliases for one in told] == [
        names,
        ("codertocat/hello-world#7", "186853002#7"),
        ("codertocat", "21031067"),
        ("octocoders", "38302899"),
    ]


@pytest.mark.parametrize("is_one_time", [True, False, None])
def test_a_one_time_sponsorship_that_ends_takes_nothing_back(is_one_time: bool | None) -> None:
    sponsorship = {"node_id": "S_1", "created_at": STARRED, "sponsor": CAT, "sponsorable": OWNER}
    sponsorship["tier"] = {"is_one_time": is_one_time}

    result = said(action="cancelled", sponsorship=sponsorship, repository=None)

    assert bool(result.events) is (is_one_time is not True)
    assert bool(result.ignored) is (is_one_time is True)


@pytest.mark.parametrize("action", ["pending_cancellation", "pending_tier_change", "edited"])
def test_what_is_announced_of_a_sponsorship_has_not_happened(action: str) -> None:
    sponsorship = {"node_id": "S_1", "created_at": STARRED, "sponsor": CAT, "sponsorable": OWNER}

    result = said(action=action, sponsorship=sponsorship, repository=None)

    assert result.ignored == (f"sponsorship.{action} earns nothing",)


@pytest.mark.parametrize("sender", [OWNER, {"id": 1, "type": "Bot"}], ids=["person", "bot"])
def test_a_member_is_the_one_who_was_added_and_not_who_added_them(sender: dict[str, Any]) -> None:
    event = only_event(
        said(
            action="member_added",
            membership={"user": CAT},
            organization={"login": "Octocoders"},
            sender=sender,
            repository=None,
        )
    )

    assert (event.action, event.actor, event.target) == ("join", "583231", "Octocoders")


@pytest.mark.parametrize(
    ("told", "word"),
    [
        ({"action": "opened", "issue": {"number": 1}}, "issue.opened"),
        ({"action": "edited", "comment": {"id": 1}, "issue": {"number": 1}}, "comment.edited"),
        ({"action": "created", "comment": {"id": 1}}, "commit_comment.created"),
        (
            {"action": "created", "comment": {"id": 1}, "pull_request": {"number": 1}},
            "pull_request_review_comment.created",
        ),
        ({"ref": "refs/heads/main", "commits": []}, "an event of another kind"),
    ],
)
def test_other_events_earn_nothing(told: dict[str, Any], word: str) -> None:
    assert said(**told).ignored == (f"{word} earns nothing",)


def test_the_end_of_the_webhook_is_a_notice() -> None:
    result = said(action="deleted", hook_id=1, hook={"type": "Repository"})

    assert result == Reading(notice="the webhook was deleted")


def test_a_ping_is_a_handshake() -> None:
    assert said(zen="Keep it logically awesome.", hook_id=1) == Reading(handshake=True)


def test_a_hook_that_sends_forms_is_read_as_well() -> None:
    told = {"action": "started", "repository": REPOSITORY, "sender": CAT}
    body = urlencode({"payload": json.dumps(told)}).encode()

    event = only_event(reading(adapter_of("github"), body))

    assert (event.action, event.actor) == ("watch", "583231")
    assert json.loads(event.payload) == told
