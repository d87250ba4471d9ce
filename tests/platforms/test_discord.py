"""Discord: https://docs.discord.com/developers/events/webhook-events"""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain.events import Event
from app.platforms.kit.callback import Reading
from tests.platforms.callbacks import NOW, adapter_of, only_event, reading

MEMBER: dict[str, Any] = {
    "user": {"id": "53908232506183680", "username": "Mason"},
    "pending": False,
}
GUILD = "290926798626357999"


def interaction(sort: int = 2, **more: Any) -> dict[str, Any]:
    return {
        "id": "786008729715212338",
        "application_id": "845027738276462632",
        "type": sort,
        "token": "A_UNIQUE_TOKEN",
        "guild_id": GUILD,
        "member": MEMBER,
        "data": {"name": "claim", "custom_id": "claim-button"},
        **more,
    }


def said(body: object, **options: Any) -> Reading:
    return reading(adapter_of("discord", **options), body)


def answer(of: Reading) -> Any:
    assert of.reply is not None
    assert of.reply.status == 200
    return json.loads(of.reply.body)


def test_a_command_names_the_member_and_happened_when_it_was_signed() -> None:
    event = only_event(said(interaction()))

    assert (event.action, event.actor, event.target) == ("command", "53908232506183680", "claim")
    assert event.actor_handle == "Mason"
    assert event.occurred_at == NOW


@pytest.mark.parametrize(("sort", "action"), [(3, "component"), (5, "modal")])
def test_buttons_and_forms_are_told_by_their_own_id(sort: int, action: str) -> None:
    event = only_event(said(interaction(sort)))

    assert (event.action, event.target) == (action, "claim-button")


def test_a_direct_message_names_the_user_without_a_member() -> None:
    event = only_event(said(interaction(guild_id=None, member=None, user=MEMBER["user"])))

    assert event.actor == "53908232506183680"


@pytest.mark.parametrize("sort", [2, 5], ids=["command", "modal"])
def test_who_uses_a_command_or_a_form_is_thanked_where_nobody_else_sees_it(sort: int) -> None:
    told = answer(said(interaction(sort), thanks="Danke!"))

    assert told == {"type": 4, "data": {"content": "Danke!", "flags": 64}}


def test_a_button_is_acknowledged_without_a_change() -> None:
    assert answer(said(interaction(3))) == {"type": 6}


def test_an_interaction_elsewhere_is_answered_and_earns_nothing() -> None:
    told = said(interaction(guild_id="1"), guilds=[GUILD])

    assert told.ignored == ("command outside the configured servers",)
    assert answer(told)["type"] == 4
    assert said(interaction(), guilds=[GUILD]).events
    assert not said(interaction(guild_id=None), guilds=[GUILD]).events


def test_an_interaction_of_another_kind_earns_nothing() -> None:
    others: tuple[object, ...] = (4, 99, "2", None, [], {})
    for sort in others:
        assert said({**interaction(), "type": sort}).ignored == (
            "another interaction earns nothing",
        )


def test_one_means_an_event_on_one_address_and_a_ping_on_the_other() -> None:
    event = {
        "type": "APPLICATION_AUTHORIZED",
        "timestamp": "2024-10-18T14:42:53.064834",
        "data": {"integration_type": 1, "user": MEMBER["user"]},
    }

    authorized = said({"version": 1, "application_id": "123", "type": 1, "event": event})
    ping = said({"version": 1, "application_id": "123", "id": "1", "type": 1})

    assert only_event(authorized).occurred_at == datetime(2024, 10, 18, 14, 42, 53, 64834, UTC)
    assert ping.handshake
    assert answer(ping) == {"type": 1}


@pytest.mark.parametrize("word", ["ENTITLEMENT_CREATE", "ENTITLEMENT_DELETE"])
@pytest.mark.parametrize("sort", [None, 1, 2, 3, 4, 5, 6, 7, 8])
def test_a_purchase_is_what_the_account_itself_paid_for(word: str, sort: int | None) -> None:
    """Not Nitro (2), gifts (3, 6), tests (4) and what was free (5, 7)."""
    data = {"id": "1", "user_id": "2", "sku_id": "3", "type": sort}
    event = {"type": word, "timestamp": "2024-10-18T14:42:53", "data": data}

    told = said({"type": 1, "event": event})

    assert [one.action for one in told.events] == (["purchase"] if sort in (1, 8) else [])
    assert bool(told.ignored) != bool(told.events)


def test_a_refund_takes_back_that_very_purchase() -> None:
    def told(word: str, entitlement: str) -> Event:
        data = {"id": entitlement, "user_id": "2", "sku_id": "3", "type": 8}
        event = {"type": word, "timestamp": "2024-10-18T14:42:53", "data": data}
        return only_event(said({"type": 1, "event": event}))

    assert told("ENTITLEMENT_DELETE", "1").undoes == told("ENTITLEMENT_CREATE", "1").key
    assert told("ENTITLEMENT_DELETE", "1").undoes != told("ENTITLEMENT_CREATE", "2").key


def test_an_entitlement_that_runs_out_takes_nothing_back() -> None:
    data = {"id": "1", "user_id": "2", "sku_id": "3", "type": 8, "ends_at": "2024-10-18T14:42:53"}
    event = {"type": "ENTITLEMENT_UPDATE", "timestamp": "2024-10-18T14:42:53", "data": data}

    assert said({"type": 1, "event": event}).ignored == ("ENTITLEMENT_UPDATE earns nothing",)


def test_a_bot_uses_no_command() -> None:
    told = said(interaction(member=None, user={**MEMBER["user"], "bot": True}))

    assert told.ignored == ("command by a bot",)


@pytest.mark.parametrize("event", [{}, {"type": None}, 5, None])
def test_an_event_of_another_shape_earns_nothing(event: object) -> None:
    assert said({"type": 1, "event": event}).ignored == ("another kind earns nothing",)


def test_an_event_of_no_interest_earns_nothing() -> None:
    event = {"type": "QUEST_USER_ENROLLMENT", "timestamp": "2024-10-18T14:42:53", "data": {}}

    assert said({"type": 1, "event": event}).ignored == ("QUEST_USER_ENROLLMENT earns nothing",)


def test_the_token_that_answers_an_interaction_is_not_kept() -> None:
    event = only_event(said(interaction()))

    assert b"A_UNIQUE_TOKEN" not in event.payload
    assert json.loads(event.payload)["id"] == "786008729715212338"


@pytest.mark.parametrize("key", ["", "ab", "zz" * 32, "0x" + "ab" * 31, "ab" * 31 + " ab"])
def test_a_public_key_has_64_hexadecimal_digits(key: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        adapter_of("discord", secrets=[key])
