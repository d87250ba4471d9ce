"""aiogram and python-telegram-bot: their models of the Bot API's updates."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.platforms.callbacks import adapter_of, only_event
from tests.sdk.examples import body, names, sdk, sent


@pytest.mark.parametrize("name", names("telegram"))
def test_the_example_fits_aiograms_model_and_loses_nothing(name: str) -> None:
    told = body("telegram", name)

    read = sdk("aiogram.types").Update.model_validate(told)

    # A number that is written as text would come back as a number.
    assert read.model_dump(mode="json", by_alias=True, exclude_unset=True) == told
    assert list(unknown(read)) == []


@pytest.mark.parametrize("name", names("telegram"))
def test_the_example_fits_python_telegram_bots_model_and_is_read_alike(name: str) -> None:
    read = sdk("telegram").Update.de_json(body("telegram", name))

    event = only_event(adapter_of("telegram").read(sent("telegram", name)))
    told = read.chat_member or read.chat_boost or read.removed_chat_boost
    who = read.effective_user if told is None else person(told)
    assert str(who.id) == event.actor
    assert who.username == event.actor_handle


def person(told: Any) -> Any:
    """Who joined, or gave the boost: not always who caused the update."""
    if hasattr(told, "new_chat_member"):
        return told.new_chat_member.user
    return getattr(told, "boost", told).source.user


def unknown(read: Any) -> Iterator[str]:
    """What aiogram keeps of an object without knowing what it means."""
    yield from read.model_extra or ()
    for field in type(read).model_fields:
        value = getattr(read, field)
        for one in value if isinstance(value, list) else [value]:
            if hasattr(one, "model_extra"):
                yield from unknown(one)
