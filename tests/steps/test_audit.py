"""Is every change by a person or a key kept, with the change itself, and never rewritten?"""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, text, update

from app.domain.answers import Outcome
from app.steps import audit, identities, keys, operator_actions
from app.steps.audit import Change, Wanted
from app.steps.keys import Role
from app.storage.database import Database
from app.storage.errors import StatementFailed
from app.storage.tables import AuditDoorRow, AuditRow
from tests.steps.world import World

SAM = "key:2 sam"


def entries(world: World) -> list[tuple[str, str, str | None, str | None, Any]]:
    return [
        (row.change, row.caused_by, row.subject, row.customer_id, json.loads(row.details or "null"))
        for row in world.all(AuditRow)
    ]


def noted(world: World, count: int = 1) -> None:
    for i in range(count):
        world.do(
            lambda c, i=i: audit.record(  # type: ignore[misc]
                c, Change.KEY_REVOKED, by=f"key:{i}", now=world.now, subject=f"k{i}"
            )
        )
        world.clock.advance(60)


# What is kept.


def test_linking_and_unlinking_are_kept(world: World) -> None:
    world.receive(world.event())
    world.link()
    world.link(handle="ann_plays")
    world.unlink()

    assert entries(world) == [
        (
            "identity.linked",
            "key:1 shop",
            "twitch/99",
            "ann",
            {"outcome": "created", "released": 1},
        ),
        (
            "identity.linked",
            "key:1 shop",
            "twitch/99",
            "ann",
            {"outcome": "updated", "released": 0},
        ),
        ("identity.unlinked", "key:1 shop", "twitch/99", "ann", None),
    ]


def test_what_changed_nothing_is_not_kept(world: World) -> None:
    world.link()
    before = entries(world)

    world.link(customer="bob")
    world.unlink("98")
    world.do(lambda c: keys.revoke(c, "0" * 12, world.now))

    assert entries(world) == before


def test_a_replay_and_a_cancellation_are_kept_with_the_state_they_found(world: World) -> None:
    attempt_id = world.owed()
    world.submit(attempt_id, Outcome.PERMANENT)
    world.replay(attempt_id)
    world.cancel(attempt_id)

    told = {"challengeId": 1}
    assert entries(world)[1:] == [
        ("attempt.replayed", SAM, attempt_id, "ann", {**told, "was": "dead"}),
        ("attempt.cancelled", SAM, attempt_id, "ann", {**told, "was": "due"}),
    ]


def test_making_and_revoking_a_key_are_kept_without_the_key(world: World) -> None:
    key_id, key = world.do(lambda c: keys.create(c, Role.ADMIN, "sam", world.now, "cli:root"))
    world.do(lambda c: keys.revoke(c, key_id, world.now, "cli:root"))

    assert entries(world) == [
        ("key.created", "cli:root", key_id, None, {"role": "admin", "name": "sam"}),
        ("key.revoked", "cli:root", key_id, None, None),
    ]
    assert key not in str(world.all(AuditRow))


def test_a_refused_replay_leaves_no_entry(world: World) -> None:
    attempt_id = world.owed()

    with pytest.raises(operator_actions.NotAllowed):
        world.replay(attempt_id)

    assert [entry[0] for entry in entries(world)] == ["identity.linked"]


@pytest.mark.parametrize("act", ["link", "key"])
def test_a_change_that_is_undone_takes_its_entry_with_it(world: World, act: str) -> None:
    def step(connection: Connection) -> None:
        if act == "link":
            identity = identities.Identity(platform="twitch", account_id="99", customer_id="ann")
            identities.link(connection, identity, SAM, world.now)
        else:
            keys.create(connection, Role.ADMIN, "sam", world.now)
        raise RuntimeError("the step fails at its end")

    with pytest.raises(RuntimeError):
        world.do(step)

    assert entries(world) == []


def test_details_that_do_not_fit_are_left_out_as_a_whole(world: World) -> None:
    world.do(
        lambda c: audit.record(c, Change.KEY_CREATED, by="x" * 300, now=world.now, name="y" * 5_000)
    )

    [(_, by, _, _, details)] = entries(world)
    assert len(by) == 200
    assert list(details) == ["leftOut"]


# That it only grows.


@pytest.mark.parametrize(
    "change",
    [
        update(AuditRow).values(caused_by="nobody"),
        update(AuditRow).values(details=None),
        delete(AuditRow),
        delete(AuditRow).where(AuditRow.id > 0),
    ],
)
def test_the_database_refuses_to_change_what_is_kept(world: World, change: Any) -> None:
    noted(world)
    before = world.all(AuditRow)

    with pytest.raises(StatementFailed, match="append-only"):
        world.do(lambda c: c.execute(change))

    assert world.all(AuditRow) == before


def test_postgresql_refuses_to_empty_it_as_well(postgres: Database) -> None:
    with pytest.raises(StatementFailed, match="append-only"):
        postgres.write(lambda c: c.execute(text("TRUNCATE audit")))


def test_retention_lets_go_of_the_oldest_and_shuts_the_door(world: World) -> None:
    noted(world, 5)
    limit = world.now - timedelta(seconds=150)

    first = world.do(lambda c: audit.purge(c, limit, 2))
    second = world.do(lambda c: audit.purge(c, limit, 2))

    assert (first, second) == (2, 1)
    assert [row.subject for row in world.all(AuditRow)] == ["k3", "k4"]
    assert world.all(AuditDoorRow) == []
    with pytest.raises(StatementFailed):
        world.do(lambda c: c.execute(delete(AuditRow)))


def test_a_door_that_another_transaction_opened_is_shut_to_us(postgres: Database) -> None:
    refused: list[str] = []

    def open_the_door_and_look_outside(connection: Connection) -> None:
        connection.execute(insert(AuditDoorRow).values(id=1))
        with pytest.raises(StatementFailed) as caught:
            postgres.write(lambda c: c.execute(text("TRUNCATE audit")))
        refused.append(str(caught.value))
        connection.execute(delete(AuditDoorRow))

    postgres.write(open_the_door_and_look_outside)

    assert "append-only" in refused[0]


def test_a_person_is_forgotten_and_what_was_done_stays(world: World) -> None:
    world.link("99", "ann")
    world.link("55", "bob")
    attempt_id = world.owed("99", "ann")
    world.cancel(attempt_id)

    forgotten = world.do(lambda c: audit.forget(c, "ann", ["twitch/99"]))

    assert forgotten == 2
    assert [entry[:4] for entry in entries(world)] == [
        ("identity.linked", "key:1 shop", "erased", None),
        ("identity.linked", "key:1 shop", "twitch/55", "bob"),
        ("attempt.cancelled", SAM, attempt_id, None),
    ]
    assert world.all(AuditDoorRow) == []


# That it is found.


def subjects(world: World, limit: int = 10, before: int | None = None, **wanted: Any) -> list[Any]:
    with world.database.read() as connection:
        found = audit.page(connection, Wanted(**wanted), limit, before)
    return [row.subject for row in found]


def test_entries_are_listed_newest_first_page_by_page(world: World) -> None:
    noted(world, 5)
    last = world.all(AuditRow)[-2].id

    assert subjects(world, limit=2) == ["k4", "k3"]
    assert subjects(world, limit=2, before=last) == ["k2", "k1"]


def test_each_criterion_finds_what_fulfils_it(world: World) -> None:
    start = world.now
    noted(world, 3)
    world.link()

    assert subjects(world, by="key:1") == ["twitch/99", "k1"]
    assert subjects(world, by="key:1 shop") == ["twitch/99"]
    assert subjects(world, by="key:%") == []
    assert subjects(world, changes=(Change.IDENTITY_LINKED,)) == ["twitch/99"]
    assert subjects(world, subject="k2") == ["k2"]
    assert subjects(world, customer_id="ann") == ["twitch/99"]
    assert subjects(world, from_at=start + timedelta(seconds=60)) == ["twitch/99", "k2", "k1"]
    assert subjects(world, to_at=start + timedelta(seconds=60)) == ["k0"]
