"""Is a customer erased by an admin's call, once, and with nothing left in the files?"""

from pathlib import Path

import pytest

from app.steps import forwarding
from app.steps.forwarding import StartedSubmission
from app.steps.keys import Role
from tests.web.conftest import OpenShop
from tests.web.shop import Shop, problem, wrong_fields

CUSTOMER, ACCOUNT, EMAIL = "ann-of-the-shop", "account-of-ann", "ann@of-the-shop.test"


@pytest.fixture
def lived(shop: Shop) -> Shop:
    """A shop whose customer followed, and claimed."""
    shop.linked(ACCOUNT, CUSTOMER, handle="ann_plays", email=EMAIL)
    shop.follow(ACCOUNT)
    shop.claimed(shop.token(CUSTOMER, 100, email=EMAIL), {"note": "ann_plays did it"})
    return shop


def test_an_admin_erases_a_customer(lived: Shop) -> None:
    answer = lived.call("DELETE", f"/v1/customers/{CUSTOMER}", lived.key(Role.ADMIN))

    said = answer.get_json()
    assert answer.status_code == 200
    assert said["state"] == "erased"
    assert (said["attempts"], said["events"], said["identities"]) == (2, 1, 1)
    assert CUSTOMER not in answer.text
    assert {row.customer_id for row in lived.attempts()} == {None}


def test_erasing_twice_tells_the_same(lived: Shop) -> None:
    key = lived.key(Role.ADMIN)

    first = lived.call("DELETE", f"/v1/customers/{CUSTOMER}", key)
    again = lived.call("DELETE", f"/v1/customers/{CUSTOMER}", key)

    assert again.get_json() == first.get_json()


@pytest.mark.parametrize("role", [Role.BACKEND, Role.VIEWER, Role.OPERATOR])
def test_nobody_else_may(lived: Shop, role: Role) -> None:
    answer = lived.call("DELETE", f"/v1/customers/{CUSTOMER}", lived.key(role))

    assert (answer.status_code, problem(answer)) == (403, "forbidden")
    assert CUSTOMER in {row.customer_id for row in lived.attempts()}


def test_a_name_that_no_customer_can_have_is_invalid(shop: Shop) -> None:
    answer = shop.call("DELETE", f"/v1/customers/{'x' * 101}", shop.key(Role.ADMIN))

    assert wrong_fields(answer) == ["customerId"]


def test_a_customer_is_erased_whatever_their_id_is_made_of(shop: Shop) -> None:
    shop.linked(ACCOUNT, "shop/ann")

    answer = shop.call("DELETE", "/v1/customers/shop%2Fann", shop.key(Role.ADMIN))

    assert (answer.status_code, answer.get_json()["identities"]) == (200, 1)


def test_a_path_of_more_than_an_id_erases_nobody(shop: Shop) -> None:
    shop.linked(ACCOUNT, "shop/ann")

    for path in ("/v1/customers/shop/ann", "/v1/customers/shop%2Fann/"):
        answer = shop.call("DELETE", path, shop.key(Role.ADMIN))
        assert (answer.status_code, problem(answer)) == (404, "unknown")


def test_a_path_that_is_not_utf_8_is_malformed(shop: Shop) -> None:
    answer = shop.call("DELETE", "/v1/customers/%ff", shop.key(Role.ADMIN))

    assert (answer.status_code, problem(answer)) == (400, "malformed")


def test_while_a_submission_is_in_flight_it_is_being_erased(lived: Shop) -> None:
    service = lived.service
    policy, now = service.forwarding_policy(), service.now()
    due = next(row for row in lived.attempts() if row.state == "due")
    made = service.database.write(lambda c: forwarding.start(c, due.id, "w1", policy, now))

    answer = lived.call("DELETE", f"/v1/customers/{CUSTOMER}", lived.key(Role.ADMIN))

    assert isinstance(made, StartedSubmission)
    assert (answer.status_code, answer.get_json()["state"]) == (202, "erasing")


def test_the_files_of_an_erased_customer_hold_no_trace(
    open_shop: OpenShop, sqlite_url: str
) -> None:
    shop = open_shop()
    shop.linked(ACCOUNT, CUSTOMER, handle="ann_plays", email=EMAIL)
    shop.follow(ACCOUNT)
    files = [Path(f"{sqlite_url.removeprefix('sqlite:///')}{end}") for end in ("", "-wal")]
    before = b"".join(file.read_bytes() for file in files if file.exists())

    shop.call("DELETE", f"/v1/customers/{CUSTOMER}", shop.key(Role.ADMIN))

    after = b"".join(file.read_bytes() for file in files if file.exists())
    for name in (CUSTOMER, ACCOUNT):
        assert name.encode() in before
        assert after.count(name.encode()) == 0
