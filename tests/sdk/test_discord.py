"""hikari and discord.py: their models of interactions, users and entitlements."""

from typing import Any
from unittest.mock import MagicMock

import pytest

from tests.platforms.callbacks import adapter_of, only_event
from tests.sdk.examples import body, names, sdk, sent

INTERACTIONS = {"command", "command.direct", "component", "modal"}


@pytest.mark.parametrize("name", names("discord"))
def test_hikari_reads_the_example_as_we_do(name: str) -> None:
    factory = sdk("hikari.impl.entity_factory").EntityFactoryImpl(app=None)
    told = body("discord", name)

    if name in INTERACTIONS:
        who = factory.deserialize_interaction(told).user.id
    elif "user" in told["event"]["data"]:
        who = factory.deserialize_user(told["event"]["data"]["user"]).id
    else:
        who = factory.deserialize_entitlement(told["event"]["data"]).user_id

    assert str(who) == only_event(adapter_of("discord").read(sent("discord", name))).actor


@pytest.mark.parametrize("name", sorted(INTERACTIONS))
def test_discord_py_reads_the_interaction_as_we_do(name: str) -> None:
    discord = sdk("discord")

    read = discord.Interaction(data=body("discord", name), state=state_of(discord))

    event = only_event(adapter_of("discord").read(sent("discord", name)))
    assert (str(read.user.id), read.user.name) == (event.actor, "mason")
    assert str(read.id) == event.key.rpartition(":")[2]


def state_of(discord: Any) -> Any:
    """A client that knows of no servers yet; discord.py makes none without a connection."""
    state = MagicMock()
    state._get_guild.return_value = None
    state.store_user = lambda data, **_: discord.User(state=state, data=data)
    return state
