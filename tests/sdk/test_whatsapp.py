"""pywa: the signature, and its models of messages and of a group's members."""

from typing import Any

import pytest

from tests.platforms.callbacks import adapter_of, only_event
from tests.sdk.examples import body, sdk, sent

SECRET = "example-app-secret-new"
MESSAGES = {"message": "MessageHandler", "unmessage": "DeletedMessageHandler"}
GROUPS = ("join", "join.username", "unjoin")


@pytest.mark.parametrize("name", MESSAGES)
def test_pywa_believes_the_message_and_names_the_same_person(name: str) -> None:
    callback = sent("whatsapp", name)
    read: list[Any] = []
    client = sdk("pywa").WhatsApp(app_secret=SECRET, verify_token="example", server=None)
    handler = getattr(sdk("pywa.handlers"), MESSAGES[name])
    client.add_handlers(handler(lambda _, update: read.append(update)))

    refusal = client.webhook_update_validator(callback.body, callback.header("X-Hub-Signature-256"))
    client.webhook_update_handler(callback.body)

    event = only_event(adapter_of("whatsapp").read(callback))
    [update] = read
    assert refusal is None
    assert update.from_user.wa_id == event.actor
    assert update.from_user.bsuid in event.aliases
    assert update.from_user.name == event.actor_handle
    assert update.metadata.phone_number_id == event.target


@pytest.mark.parametrize("name", GROUPS)
def test_the_member_of_a_group_fits_pywas_model(name: str) -> None:
    group = body("whatsapp", name)["entry"][0]["changes"][0]["value"]["groups"][0]
    people = group.get("added_participants", group.get("removed_participants"))

    member = sdk("pywa.types.groups").GroupParticipant.from_dict(group["group_id"], people[0], None)

    event = only_event(adapter_of("whatsapp").read(sent("whatsapp", name)))
    assert event.actor == (member.wa_id or member.bsuid)
    assert member.username == event.actor_handle
