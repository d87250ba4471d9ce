"""Whose account is this?"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.steps.keys import Role
from app.web.api.openapi import document
from tests.clock import Clock
from tests.domain.test_texts import WRITTEN
from tests.web.conftest import CONFIG, OpenShop
from tests.web.shop import Shop, identity_path, problem, wrong_fields

on_both_databases = pytest.mark.usefixtures("database_url")
SHOP_EU = """
[[sources]]
name = "twitch-eu"
platform = "twitch"
accounts = "twitch-eu-accounts"
secrets = ["env:TWITCH_SECRET"]
"""


def read(shop: Shop, account: str, platform: str = "twitch") -> Any:
    return shop.call("GET", identity_path(platform, account), shop.backend_key)


# Linking


@on_both_databases
def test_linking_an_account_answers_the_link(shop: Shop, clock: Clock) -> None:
    answer = shop.link("tw-1", "ada", handle="Ada_1", email="a@b.c", mobile="+31 6 1234")

    assert answer.status_code == 201
    link = {
        "platform": "twitch",
        "accountId": "tw-1",
        "customerId": "ada",
        "handle": "Ada_1",
        "email": "a@b.c",
        "mobile": "+31 6 1234",
        "createdAt": "2026-01-05T12:00:00.123456Z",
        "updatedAt": "2026-01-05T12:00:00.123456Z",
    }
    assert answer.get_json() == {**link, "releasedAttempts": 0}
    clock.advance(1)
    assert read(shop, "tw-1").get_json() == link


@on_both_databases
@pytest.mark.parametrize("name", WRITTEN.values(), ids=WRITTEN)
def test_names_are_linked_as_people_write_them(shop: Shop, name: str) -> None:
    answer = shop.link(f"account-{name}", "ada", handle=name)

    assert answer.status_code == 201
    kept = read(shop, f"account-{name}").get_json()
    assert (kept["handle"], kept["accountId"]) == (name, f"account-{name}")


@on_both_databases
def test_linking_again_replaces_what_was_known_and_keeps_the_link(shop: Shop, clock: Clock) -> None:
    shop.link("tw-1", "ada", handle="Ada_1", email="a@b.c")
    clock.advance(1)

    answer = shop.link("tw-1", "ada", mobile="0612345678")

    assert answer.status_code == 200
    said = answer.get_json()
    assert (said["handle"], said["email"], said["mobile"]) == (None, None, "0612345678")
    assert said["createdAt"] == "2026-01-05T12:00:00.123456Z"
    assert said["updatedAt"] == "2026-01-05T12:00:01.123456Z"


@on_both_databases
def test_linking_releases_what_waited_for_it(shop: Shop) -> None:
    woken: list[str] = []
    shop.follow("tw-1")
    shop.follow("tw-2", "event-2")
    shop.service.wake_worker = lambda: woken.append("up")
    assert shop.states() == ["unlinked"] * 2

    linked = shop.linked("tw-1", "ada", email="a@b.c")

    assert linked["releasedAttempts"] == 1
    mine, other = sorted(shop.attempts(), key=lambda attempt: attempt.account_id)
    assert (mine.state, mine.customer_id, mine.email) == ("due", "ada", "a@b.c")
    assert (other.state, other.customer_id) == ("unlinked", None)
    assert [award.attempt_id for award in shop.awards()] == [mine.id]
    assert shop.timeline(mine.id)[-1][:2] == ("unlinked", "due")
    assert shop.timeline(mine.id)[-1][2].startswith("key:")
    assert woken == ["up"]


def test_linking_wakes_no_worker_where_nothing_waited(shop: Shop) -> None:
    woken: list[str] = []
    shop.service.wake_worker = lambda: woken.append("up")

    shop.linked("tw-1", "ada")

    assert woken == []


@on_both_databases
def test_an_account_of_another_customer_is_taken_and_nothing_moves(shop: Shop) -> None:
    shop.linked("tw-1", "ada-the-first")
    shop.follow("tw-2", "event-2")
    before = [vars(attempt) for attempt in shop.attempts()]

    answer = shop.link("tw-1", "bob", email="b@b.c")

    assert (answer.status_code, problem(answer)) == (409, "taken")
    assert "ada" not in answer.text
    assert [vars(attempt) for attempt in shop.attempts()] == before
    assert read(shop, "tw-1").get_json()["customerId"] == "ada-the-first"
    assert read(shop, "tw-1").get_json()["email"] is None


def test_one_customer_may_have_several_accounts(shop: Shop) -> None:
    assert shop.link("tw-1", "ada").status_code == 201
    assert shop.link("tw-2", "ada").status_code == 201
    assert shop.link("tw-1", "ada", platform="instagram").status_code == 201


@pytest.mark.parametrize(
    "account",
    [
        "did:plc:z72i7hdynmk6r22z27h6tvur",
        "@user@mastodon.example",
        "AAAA==",
        "a b",
        "100%",
        "a+b?c#d&e",
        "Zoë 李",
        "a.b..c",
        "x" * 255,
    ],
)
def test_an_account_may_be_named_as_platforms_name_them(shop: Shop, account: str) -> None:
    assert shop.linked(account, "ada")["accountId"] == account

    assert read(shop, account).get_json()["accountId"] == account
    assert shop.unlink(account).status_code == 204


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("twitch/%00", "invalid"),
        ("twitch/a%00b", "invalid"),
        ("twitch/a%0Ab", "unknown"),
        ("twitch/%E2%80%8B", "invalid"),
        ("twitch/" + "x" * 256, "invalid"),
        ("twitch/%ff%fe", "malformed"),
        ("twitch/%ED%A0%80", "malformed"),
        ("Twitch/1", "invalid"),
        ("%00/1", "invalid"),
        ("twi tch/1", "invalid"),
        ("t" * 65 + "/1", "invalid"),
        ("twitch/a/b", "unknown"),
        ("twitch/a%2Fb/c", "unknown"),
        ("twitch/a/", "unknown"),
        ("twitch//a", "unknown"),
        ("twitch/", "unknown"),
        ("twitch/%20", "invalid"),
    ],
)
def test_a_path_that_names_no_account_is_refused(shop: Shop, path: str, kind: str) -> None:
    for method in ("PUT", "GET", "DELETE"):
        answer = shop.call(
            method, f"/v1/identities/{path}", shop.backend_key, json={"customerId": "ada"}
        )

        assert problem(answer) == kind


@pytest.mark.parametrize("account", ["a/b", "a//b", "a/", "https://social.example/users/a", "50%"])
def test_an_account_is_linked_whatever_its_id_is_made_of(shop: Shop, account: str) -> None:
    shop.follow(account)

    answer = shop.linked(account, "ada")

    assert (answer["accountId"], answer["releasedAttempts"]) == (account, 1)
    assert read(shop, account).get_json()["customerId"] == "ada"
    assert shop.unlink(account).status_code == 204


def test_a_wrong_part_of_the_path_has_the_name_that_the_documentation_gives_it(shop: Shop) -> None:
    answer = shop.call("GET", "/v1/identities/T/%00", shop.backend_key)

    assert wrong_fields(answer) == ["platform", "accountId"]


def test_a_platform_word_that_nothing_will_ever_carry_is_a_typo(open_shop: OpenShop) -> None:
    shop = open_shop(CONFIG + SHOP_EU)

    for word in ("twitch", "twitch-eu-accounts", "instagram"):
        assert shop.link("1", "ada", platform=word).status_code == 201
    for word in ("twitsch", "twitch-eu", "x-y-z"):
        assert wrong_fields(shop.link("1", "ada", platform=word)) == ["platform"]


def test_a_link_is_read_and_removed_after_its_platform_left_the_configuration(
    open_shop: OpenShop,
) -> None:
    shop = open_shop(CONFIG + SHOP_EU)
    shop.linked("1", "ada", platform="twitch-eu-accounts")
    later = open_shop(CONFIG)

    assert read(later, "1", "twitch-eu-accounts").get_json()["customerId"] == "ada"
    assert later.unlink("1", "twitch-eu-accounts").status_code == 204
    assert wrong_fields(later.link("1", "ada", platform="twitch-eu-accounts")) == ["platform"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"customerId": ""}, "customerId"),
        ({"customerId": None}, "customerId"),
        ({"customerId": "a\x00"}, "customerId"),
        ({"customerId": "a" * 101}, "customerId"),
        ({"handle": ""}, "handle"),
        ({"handle": "h" * 256}, "handle"),
        ({"handle": "a\nb"}, "handle"),
        ({"email": "nobody"}, "email"),
        ({"email": "a@b\x00"}, "email"),
        ({"mobile": "1"}, "mobile"),
        ({"accountId": "other"}, "accountId"),
    ],
)
def test_each_wrong_member_is_named(shop: Shop, wrong: dict[str, Any], field: str) -> None:
    answer = shop.call(
        "PUT",
        identity_path("twitch", "1"),
        shop.backend_key,
        json={"customerId": "ada"} | wrong,
    )

    assert wrong_fields(answer) == [field]
    assert problem(read(shop, "1")) == "unknown"


@on_both_databases
@given(
    st.text(min_size=1, max_size=300),
    st.dictionaries(
        st.sampled_from(["customerId", "handle", "email", "mobile"]) | st.text(),
        st.none() | st.integers() | st.text() | st.lists(st.text()),
    ),
)
def test_no_account_and_no_body_makes_it_our_fault(
    shop: Shop, account: str, body: dict[str, Any]
) -> None:
    path = identity_path("twitch", account.encode("utf-8", "replace").decode())

    for method in ("PUT", "GET", "DELETE"):
        assert shop.call(method, path, shop.backend_key, json=body).status_code < 500


# Reading and removing


def test_an_account_that_nobody_linked_is_not_there(shop: Shop) -> None:
    assert problem(read(shop, "tw-1")) == "unknown"
    assert problem(shop.unlink("tw-1")) == "unknown"


@on_both_databases
def test_a_removed_link_is_gone(shop: Shop) -> None:
    shop.linked("tw-1", "ada")

    answer = shop.unlink("tw-1")

    assert (answer.status_code, answer.data) == (204, b"")
    assert problem(read(shop, "tw-1")) == "unknown"
    assert problem(shop.unlink("tw-1")) == "unknown"
    assert shop.link("tw-1", "bob").status_code == 201


@on_both_databases
def test_an_account_that_changes_hands_does_not_earn_again(shop: Shop) -> None:
    shop.linked("tw-1", "ada")
    shop.follow("tw-1", "event-1")
    shop.unlink("tw-1")
    shop.linked("tw-1", "bob")

    shop.follow("tw-1", "event-2")

    states = {attempt.customer_id: attempt.state for attempt in shop.attempts()}
    assert states == {"ada": "due", "bob": "duplicate"}
    assert [award.customer_id for award in shop.awards()] == ["ada"]


@on_both_databases
def test_an_account_that_waited_and_changes_hands_earns_for_its_first_customer_only(
    shop: Shop,
) -> None:
    shop.follow("tw-1", "event-1")
    shop.linked("tw-1", "ada")
    shop.unlink("tw-1")
    shop.follow("tw-1", "event-2")
    assert sorted(shop.states()) == ["due", "unlinked"]

    linked = shop.linked("tw-1", "bob")

    assert linked["releasedAttempts"] == 1
    states = {attempt.customer_id: attempt.state for attempt in shop.attempts()}
    assert states == {"ada": "due", "bob": "duplicate"}


@on_both_databases
def test_a_customers_second_account_does_not_earn_again(shop: Shop) -> None:
    shop.linked("tw-1", "ada")
    shop.linked("tw-2", "ada")

    shop.follow("tw-1", "event-1")
    shop.follow("tw-2", "event-2")

    states = {attempt.account_id: attempt.state for attempt in shop.attempts()}
    assert states == {"tw-1": "due", "tw-2": "duplicate"}


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
def test_backends_and_operators_link_and_viewers_do_not(shop: Shop, method: str) -> None:
    path, body = identity_path("twitch", "1"), {"customerId": "ada"}

    assert problem(shop.call(method, path, json=body)) == "unauthenticated"
    assert problem(shop.call(method, path, shop.key(Role.VIEWER), json=body)) == "forbidden"
    for role in (Role.BACKEND, Role.OPERATOR, Role.ADMIN):
        assert shop.call("PUT", path, shop.key(role), json=body).status_code in (200, 201)
        assert shop.call(method, path, shop.key(role), json=body).status_code in (200, 204)


def test_the_accounts_of_a_customer_are_listed_without_contacts_to_a_viewer(shop: Shop) -> None:
    body = {"customerId": "ada", "email": "ada@example.com"}
    shop.call("PUT", identity_path("twitch", "1"), shop.key(Role.BACKEND), json=body)

    told = {
        role: shop.call("GET", "/v1/identities?customerId=ada", shop.key(role)).get_json()["items"]
        for role in Role
    }

    assert {role: items[0]["email"] for role, items in told.items()} == {
        Role.BACKEND: "ada@example.com",
        Role.VIEWER: None,
        Role.OPERATOR: "ada@example.com",
        Role.ADMIN: "ada@example.com",
    }
    assert all(items[0]["accountId"] == "1" for items in told.values())


def test_the_api_describes_identities(shop: Shop) -> None:
    path = document(shop.app)["paths"]["/v1/identities/{platform}/{accountId}"]

    assert set(path) == {"put", "get", "delete"}
    assert set(path["put"]["responses"]) >= {"200", "201", "401", "403", "409", "422"}
    assert all(operation["security"] == [{"key": []}] for operation in path.values())
