"""WhatsApp: https://developers.facebook.com/docs/whatsapp/webhooks/reference"""

from typing import Any

import pytest

from app.domain.events import SameAccount
from app.platforms.kit.callback import Malformed, Reading
from tests.platforms.callbacks import NOW, adapter_of, only_event, reading

AT = str(int(NOW.timestamp()))
GROUP = "120363418770915618@g.us"
ANN = {"wa_id": "16505550000", "user_id": "US.998", "username": "@ann"}


def change(field: str, value: Any) -> Any:
    return {"value": value, "field": field}


def told(*changes: Any, sort: str = "whatsapp_business_account") -> Reading:
    entry = {"id": "102290129340398", "changes": [*changes]}
    return reading(adapter_of("whatsapp"), {"object": sort, "entry": [entry]})


def messages(*those: Any) -> Any:
    contacts = [{"profile": {"name": "Ann"}, "wa_id": "16505550000"}]
    metadata = {"phone_number_id": "106540352242922"}
    return change("messages", {"metadata": metadata, "contacts": contacts, "messages": [*those]})


def message(**more: Any) -> Any:
    one = {"from": "16505550000", "id": "wamid.1", "timestamp": AT, "type": "text"}
    return {**one, "text": {"body": "Hi"}, **more}


def group(sort: str, people: str, *those: Any) -> Any:
    one = {"timestamp": AT, "group_id": GROUP, "type": sort, people: [*those]}
    return change("group_participants_update", {"groups": [one]})


def test_a_message_is_by_its_sender_to_our_number() -> None:
    event = only_event(told(messages(message())))

    assert (event.action, event.actor, event.target) == (
        "message",
        "16505550000",
        "106540352242922",
    )
    assert (event.key, event.actor_handle) == ("messages:wamid.1", "Ann")
    assert event.occurred_at == NOW


def test_what_is_kept_of_a_message_is_nobody_elses() -> None:
    """Whoever is erased must not live on in what another person's event keeps."""
    bobs = {"profile": {"name": "Bob"}, "wa_id": "4915100"}
    both = messages(message(), message(**{"from": "4915100"}, id="wamid.2", text={"body": "Bob's"}))
    both["value"]["contacts"].append(bobs)

    anns, his = told(both).events

    assert (anns.actor, his.actor, his.actor_handle) == ("16505550000", "4915100", "Bob")
    assert b"Bob" not in anns.payload
    assert b"4915100" not in anns.payload
    assert b"Ann" not in his.payload
    assert b"Bob's" in his.payload


def test_what_is_kept_of_a_join_is_nobody_elses() -> None:
    bob = {"wa_id": "4915100"}

    anns, his = told(group("group_participants_add", "added_participants", ANN, bob)).events

    assert b"4915100" not in anns.payload
    assert b"16505550000" not in his.payload


def test_a_message_that_is_revoked_is_taken_back() -> None:
    sent = only_event(told(messages(message())))
    revoke = {"original_message_id": "wamid.1"}

    undone = only_event(told(messages(message(id="wamid.2", type="revoke", revoke=revoke))))

    assert (undone.action, undone.actor, undone.target) == (sent.action, sent.actor, sent.target)
    assert (undone.undone, undone.undoes) == (True, sent.key)


@pytest.mark.parametrize("sort", ["reaction", "system", "unsupported", "edit"])
def test_what_is_no_word_of_the_person_earns_nothing(sort: str) -> None:
    assert told(messages(message(type=sort))).ignored == (f"a {sort} message earns nothing",)


def test_what_became_of_our_own_messages_earns_nothing() -> None:
    result = told(change("messages", {"statuses": [{"id": "wamid.1", "status": "read"}]}))

    assert (result.events, result.ignored) == ((), ())


def test_everybody_who_was_added_has_joined() -> None:
    other = {"wa_id": "16505550001"}

    events = told(group("group_participants_add", "added_participants", ANN, other)).events

    assert [(e.action, e.actor, e.target) for e in events] == [
        ("join", "16505550000", GROUP),
        ("join", "16505550001", GROUP),
    ]
    assert len({event.key for event in events}) == 2


def test_somebody_who_hides_the_number_is_told_by_the_user_id() -> None:
    hidden = {"user_id": "US.998", "username": "@ann"}

    event = only_event(told(group("group_participants_add", "added_participants", hidden)))

    assert (event.actor, event.actor_handle) == ("US.998", "@ann")


def test_whoever_leaves_undoes_the_join() -> None:
    event = only_event(told(group("group_participants_remove", "removed_participants", ANN)))

    assert (event.action, event.actor, event.target) == ("join", "16505550000", GROUP)
    assert event.undone


def test_one_bad_item_costs_no_other() -> None:
    result = told(
        messages(7, message(id=None), message()),
        group("group_participants_add", "added_participants", "nobody", {"wa_id": None}),
        change("group_participants_update", {"groups": [7, {"added_participants": [ANN]}]}),
        change("account_update", {}),
    )

    assert [event.key for event in result.events] == ["messages:wamid.1"]
    assert "account_update earns nothing" in result.ignored
    assert sum("malformed" in reason for reason in result.ignored) == 4


def test_an_object_of_another_kind_earns_nothing() -> None:
    assert told(messages(message()), sort="page").ignored == ("page earns nothing",)


def test_a_batch_without_entries_is_malformed() -> None:
    with pytest.raises(Malformed):
        reading(adapter_of("whatsapp"), {"object": "whatsapp_business_account"})


def shown(**ids: str) -> Reading:
    """A message whose sender and contact show some of the ids."""
    contact: dict[str, Any] = {"profile": {"name": "Ann"}}
    contact |= {name: ids[name] for name in ("wa_id", "user_id") if name in ids}
    names = {"sender": "from", "from_user_id": "from_user_id"}
    one = message(**{names[name]: ids[name] for name in names if name in ids})
    if "sender" not in ids:
        del one["from"]
    metadata = {"phone_number_id": "106540352242922"}
    value = {"metadata": metadata, "contacts": [contact], "messages": [one]}
    return told(change("messages", value))


def test_every_id_that_is_shown_is_one_of_the_same_account() -> None:
    both = only_event(shown(sender="16505550000", wa_id="16505550000", user_id="US.998"))
    hidden = only_event(shown(from_user_id="US.998", user_id="US.998"))

    assert (both.actor, both.aliases) == ("16505550000", ("US.998",))
    assert (hidden.actor, hidden.aliases, hidden.actor_handle) == ("US.998", (), "Ann")


def test_a_number_that_is_written_in_two_ways_is_one_account() -> None:
    event = only_event(shown(sender="5491155550000", wa_id="541155550000"))

    assert (event.actor, event.aliases) == ("5491155550000", ("541155550000",))
    assert event.actor_handle == "Ann"


def test_a_join_shows_both_ids() -> None:
    event = only_event(told(group("group_participants_add", "added_participants", ANN)))

    assert (event.actor, event.aliases) == ("16505550000", ("US.998",))


@pytest.mark.parametrize(
    ("system", "ids"),
    [
        ({"type": "user_changed_number", "wa_id": "4917"}, ("16505550000", "4917")),
        ({"type": "customer_changed_number", "new_wa_id": "4917"}, ("16505550000", "4917")),
        (
            {"type": "user_changed_user_id", "previous_user_id": "US.1", "user_id": "US.2"},
            ("US.1", "US.2"),
        ),
    ],
)
def test_the_system_says_who_has_another_id_now(
    system: dict[str, str], ids: tuple[str, str]
) -> None:
    result = told(messages(message(type="system", system=system)))

    assert result.same_accounts == (SameAccount(*ids, replaced=True),)
    assert result.events == ()


def test_an_earlier_form_of_that_is_read_as_well() -> None:
    ids = {"user_id": {"previous": "US.1", "current": "US.2"}}

    result = told(change("user_id_update", {"user_id_update": [ids]}))

    assert result.same_accounts == (SameAccount("US.1", "US.2", replaced=True),)


@pytest.mark.parametrize(
    "system", [{}, None, {"type": ["user_changed_number"]}, {"type": "user_changed_number"}]
)
def test_a_system_message_of_another_sort_moves_nobody(system: Any) -> None:
    assert told(messages(message(type="system", system=system))).same_accounts == ()


@pytest.mark.parametrize(
    "more",
    [
        {"type": "interactive", "interactive": {"type": "call_permission_reply"}},
        {"type": "text", "errors": [{"code": 131051}]},
        {"type": "unknown"},
        {"type": {"a": 1}},
        {"type": None},
    ],
)
def test_what_the_phone_sends_by_itself_is_no_message(more: dict[str, Any]) -> None:
    result = told(messages(message(**more)))

    assert result.events == ()
    assert result.ignored[0].endswith("message earns nothing")


@pytest.mark.parametrize("sort", ["button_reply", "list_reply", "nfm_reply"])
def test_an_answer_that_a_person_tapped_is_a_message(sort: str) -> None:
    tapped = message(type="interactive", interactive={"type": sort})

    assert only_event(told(messages(tapped))).action == "message"


@pytest.mark.parametrize("numbers", [[], ["106540352242922"], ["7", "106540352242922"]])
def test_what_happens_to_our_number_counts(numbers: list[str]) -> None:
    entry = {"id": "1", "changes": [messages(message())]}
    body = {"object": "whatsapp_business_account", "entry": [entry]}

    assert reading(adapter_of("whatsapp", phone_numbers=numbers), body).events


@pytest.mark.parametrize(
    "change", [messages(message()), group("group_participants_add", "added_participants", ANN)]
)
def test_what_happens_to_another_number_earns_nothing_where_numbers_are_named(
    change: Any,
) -> None:
    body = {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}

    told = reading(adapter_of("whatsapp", phone_numbers=["7"]), body)

    assert not told.events
    assert "of a phone number that is not configured" in told.ignored[0]
