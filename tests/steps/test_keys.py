"""Is a key known by its digest alone, and is everything else no key?"""

import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.steps import keys
from app.steps.keys import INCLUDES, KeyHolder, Role
from app.storage.tables import KeyRow
from tests.steps.conftest import on_sqlite
from tests.steps.world import World


def made(world: World, role: Role = Role.VIEWER, name: str = "support") -> tuple[str, str]:
    return world.do(lambda c: keys.create(c, role, name, world.now))


def held(world: World, key: str) -> KeyHolder | None:
    with world.database.read() as connection:
        return keys.holder(connection, key)


@pytest.mark.parametrize("role", Role)
def test_a_key_says_who_holds_it(world: World, role: Role) -> None:
    key_id, key = made(world, role, "the shop")

    holder = held(world, key)

    assert holder == KeyHolder(key_id, role, "the shop")
    assert holder.named == f"key:{key_id} the shop"


def test_only_a_digest_of_a_key_is_kept(world: World) -> None:
    key_id, key = made(world)

    [row] = world.all(KeyRow)
    assert row.digest == hashlib.sha256(key.encode()).hexdigest()
    secret = key.removeprefix(f"vouch_{key_id}_")
    assert len(secret) >= 43
    assert not any(secret in str(value) for value in vars(row).values())


def test_no_two_keys_are_the_same(world: World) -> None:
    assert len({made(world)[1] for _ in range(5)}) == 5


def test_a_revoked_key_opens_nothing(world: World) -> None:
    key_id, key = made(world)
    other_id, other = made(world)

    assert world.do(lambda c: keys.revoke(c, key_id, world.now))
    assert held(world, key) is None
    assert held(world, other) == KeyHolder(other_id, Role.VIEWER, "support")


def test_a_key_is_revoked_once_and_says_when(world: World) -> None:
    key_id, _ = made(world)
    revoked_at = world.now

    world.do(lambda c: keys.revoke(c, key_id, world.now))
    world.clock.advance(60)

    assert not world.do(lambda c: keys.revoke(c, key_id, world.now))
    assert not world.do(lambda c: keys.revoke(c, "0" * 12, world.now))
    assert world.all(KeyRow)[0].revoked_at == revoked_at


def test_a_listing_shows_keys_in_order_and_no_digest(world: World) -> None:
    first, _ = made(world, Role.ADMIN, "first")
    world.clock.advance(1)
    second, _ = made(world, Role.BACKEND, "second")

    with world.database.read() as connection:
        rows = keys.listing(connection)

    assert [(row.id, row.role, row.name) for row in rows] == [
        (first, "admin", "first"),
        (second, "backend", "second"),
    ]
    assert "digest" not in rows[0]._fields


def test_a_key_with_one_letter_changed_opens_nothing(world: World) -> None:
    _, key = made(world)

    for position in range(0, len(key), 5):
        letter = "A" if key[position] != "A" else "B"
        assert held(world, key[:position] + letter + key[position + 1 :]) is None


@on_sqlite
@pytest.mark.parametrize(
    "junk",
    [
        *("", "_", "__", "vouch", "vouch_", "vouch__", "vouch_abc_def"),
        *("vouch_000000000000_x", "vouch_000000000000_", "VOUCH_000000000000_" + "a" * 43),
        *("vouch_\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00_x", "vouch_00000000000é_x"),
        *("vouch_000000000000_\ud800", "x" * 100_000, "' OR 1=1 --_''''''''''''_x"),
    ],
)
def test_junk_is_no_key(world: World, junk: str) -> None:
    made(world)

    assert held(world, junk) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.text(max_size=80) | st.from_regex(r"vouch_.{12}_.{0,50}", fullmatch=True))
def test_no_text_is_a_key_or_an_error(world: World, junk: str) -> None:
    assert held(world, junk) is None


def test_the_first_part_of_another_key_does_not_help(world: World) -> None:
    first_id, first = made(world)
    second_id, second = made(world)

    assert held(world, first.replace(first_id, second_id)) is None
    assert held(world, second.replace(second_id, first_id)) is None


@pytest.mark.parametrize(
    ("role", "may"),
    [
        (Role.BACKEND, {Role.BACKEND}),
        (Role.VIEWER, {Role.VIEWER}),
        (Role.OPERATOR, {Role.OPERATOR, Role.VIEWER}),
        (Role.ADMIN, {Role.BACKEND, Role.VIEWER, Role.OPERATOR, Role.ADMIN}),
    ],
)
def test_a_role_includes_what_the_table_says(role: Role, may: set[Role]) -> None:
    holder = KeyHolder("1", role, "x")

    assert {other for other in Role if holder.may(other)} == may
    assert set(INCLUDES) == set(Role)
