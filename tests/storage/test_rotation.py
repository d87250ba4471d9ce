"""Can a key be rotated while the service runs, until nothing needs the old one?"""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select, update

from app.storage import rotation
from app.storage.database import Database
from app.storage.rotation import keys_needed, reseal
from app.storage.tables import AttemptRow, EventRow, GrantRow, IdentityRow
from app.storage.vault import CannotOpen, Vault
from tests.clock import Clock
from tests.steps.world import World

NEW, OLD = "the-newest-key-of-all", "the-key-of-last-year"


@pytest.fixture
def old(database_url: str, clock: Clock) -> Iterator[World]:
    world = World(database=Database(database_url, secret_keys=[OLD]), clock=clock)
    yield world
    world.database.close()


@pytest.fixture
def new(database_url: str, clock: Clock) -> Iterator[World]:
    world = World(database=Database(database_url, secret_keys=[NEW, OLD]), clock=clock)
    yield world
    world.database.close()


def live(world: World, customers: int = 1) -> None:
    for number in range(customers):
        account = str(number)
        world.link(account, f"customer-{number}", handle="jo", email="jo@b.test", mobile="+49 30 1")
        world.receive(world.event(actor=account, actor_handle="jo"))
        [made] = [row.id for row in world.all(AttemptRow) if row.account_id == account]
        world.granted(made)


def told(world: World) -> list[Any]:
    return [world.all(kind) for kind in (EventRow, AttemptRow, IdentityRow, GrantRow)]


def test_the_keys_that_are_needed_are_counted_by_value(old: World, new: World) -> None:
    live(old)
    new.link("9", "bob", email="bob@b.test")

    needed = keys_needed(new.database)

    # The hash key; the identity's three; the event's handle and payload; the attempt's contacts;
    # the grant's coupon.
    assert needed == {Vault([OLD]).newest_prefix: 9, Vault([NEW]).newest_prefix: 1}


def test_resealing_makes_the_old_key_needless(
    old: World, new: World, clock: Clock, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "_PAGE", 2)
    live(old, 7)
    event = old.event()
    old.receive(event)
    before = told(old)

    resealed = reseal(new.database)

    assert resealed == 7 * 8 + 1 + 1
    assert set(keys_needed(new.database)) == {Vault([NEW]).newest_prefix}
    alone = World(database=Database(database_url, secret_keys=[NEW]), clock=clock)
    assert told(alone) == before
    assert not alone.receive(event)[0].is_new
    assert reseal(alone.database) == 0
    alone.database.close()


def test_what_was_never_sealed_is_sealed_with_the_newest_key(new: World) -> None:
    new.granted(new.owed())
    new.do(lambda c: c.execute(update(GrantRow).values(coupon="SUMMER-1", coupon_code=None)))

    assert reseal(new.database) == 1

    [grant] = new.all(GrantRow)
    assert (grant.coupon, grant.coupon_code) == (None, "SUMMER-1")


def test_resealing_goes_on_where_it_was_cut_off(
    old: World, new: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "_PAGE", 2)
    live(old, 5)
    pages = []
    original = rotation._reseal_page

    def cut_off(*args: Any) -> int:
        pages.append(1)
        if len(pages) == 3:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(rotation, "_reseal_page", cut_off)
    with pytest.raises(KeyboardInterrupt):
        reseal(new.database)
    halfway = keys_needed(new.database)
    rest = reseal(new.database)

    assert 0 < halfway[Vault([OLD]).newest_prefix] < 41
    assert rest == halfway[Vault([OLD]).newest_prefix]


def test_a_missing_key_is_told_and_nothing_is_lost(old: World, database_url: str) -> None:
    live(old)
    before = told(old)
    stranger = Database(database_url, secret_keys=[NEW])

    with pytest.raises(CannotOpen, match="is not configured"):
        reseal(stranger)
    stranger.close()

    assert told(old) == before


def test_a_row_that_changes_meanwhile_keeps_its_change(
    old: World, new: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(old)
    original = rotation._reseal_page

    def change_first(*args: Any) -> int:
        if args[1].name == "identities":
            old.link("0", "customer-0", email="later@b.test")
        return original(*args)

    monkeypatch.setattr(rotation, "_reseal_page", change_first)
    reseal(new.database)

    with new.database.read() as connection:
        row = connection.execute(select(IdentityRow.__table__)).one()
    assert row.email.startswith(Vault([NEW]).newest_prefix)
    assert new.all(IdentityRow)[0].email == "later@b.test"
