"""Which pages may make claims from a browser?"""

from typing import Any

import pytest
from werkzeug.test import TestResponse

from app.web.limits import Buckets, Limits
from tests.web.shop import Shop, problem

SHOP = "https://shop.example"
READ = "Access-Control-Allow-Origin"


@pytest.mark.parametrize("path", ["/v1/claims", "/v1/claims/0190"])
def test_a_preflight_from_a_configured_origin_is_told_what_it_may_send(
    shop: Shop, path: str
) -> None:
    asked = {
        "Origin": SHOP,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }

    answer = shop.call("OPTIONS", path, headers=asked)

    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers[READ] == SHOP
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST"
    assert allowed(answer) >= {"content-type", "authorization"}
    assert "Origin" in answer.vary


def allowed(answer: TestResponse) -> set[str]:
    """Which headers a page may send, as browsers compare them."""
    return set(answer.headers["Access-Control-Allow-Headers"].lower().split(", "))


@pytest.mark.parametrize(
    "headers",
    [
        "traceparent,tracestate,baggage",
        "sentry-trace,baggage",
        "x-datadog-trace-id,x-datadog-parent-id,x-datadog-origin,x-datadog-sampling-priority",
        "newrelic,traceparent,tracestate",
        "b3,x-b3-traceid,x-b3-spanid,x-b3-sampled",
        "x-shop",
    ],
)
def test_a_preflight_lets_through_what_monitoring_and_the_settings_add(
    shop: Shop, headers: str
) -> None:
    asked = {"Origin": SHOP, "Access-Control-Request-Headers": headers}

    answer = shop.call("OPTIONS", "/v1/claims", headers=asked)

    assert allowed(answer) >= set(headers.split(","))
    assert "cookie" not in allowed(answer)
    assert "*" not in allowed(answer)


def test_an_app_is_an_origin(shop: Shop) -> None:
    app = "capacitor://localhost"

    for method in ("OPTIONS", "POST"):
        assert shop.call(method, "/v1/claims", headers={"Origin": app}).headers[READ] == app
    strange = shop.call("POST", "/v1/claims", headers={"Origin": "ionic://localhost"})
    assert READ not in strange.headers


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "",
        "null",
        "*",
        "https://evil.example",
        "http://shop.example",
        "https://shop.example:8443",
        "https://shop.example.evil.example",
        "https://evil.example/https://shop.example",
        "https://Shop.example",
        "https://shop.example, https://evil.example",
        "é\x80",
    ],
)
@pytest.mark.parametrize("method", ["OPTIONS", "POST"])
def test_any_other_origin_is_named_nowhere(shop: Shop, method: str, origin: str | None) -> None:
    headers = {} if origin is None else {"Origin": origin}

    answer = shop.call(method, "/v1/claims", headers=headers)

    assert READ not in answer.headers
    assert "Origin" in answer.vary


def test_an_answer_can_be_read_by_the_page_that_asked(shop: Shop) -> None:
    token = shop.token()

    made = shop.claim(token, headers={"Origin": "http://localhost:3000"})
    path = f"/v1/claims/{made.get_json()['attemptId']}"
    read = shop.call("GET", path, token, headers={"Origin": SHOP})

    assert (made.status_code, made.headers[READ]) == (202, "http://localhost:3000")
    assert (read.status_code, read.headers[READ]) == (200, SHOP)
    assert "Access-Control-Allow-Credentials" not in {**made.headers, **read.headers}


def test_refusals_of_every_part_can_be_read_by_the_page_too(shop: Shop) -> None:
    shop.app.extensions["vouch-limits"] = Limits()
    from_page: dict[str, Any] = {"headers": {"Origin": SHOP}}
    answers = {
        401: shop.claim("junk", **from_page),
        400: shop.call(
            "POST", "/v1/claims", data="{", content_type="application/json", **from_page
        ),
        404: shop.call("GET", "/v1/claims/a/b", **from_page),
        405: shop.call("DELETE", "/v1/claims", **from_page),
        413: shop.claim("A" * 100_000, **from_page),
        415: shop.call("POST", "/v1/claims", data="token=1", **from_page),
        422: shop.call("POST", "/v1/claims", json={}, **from_page),
    }

    assert {status: answer.status_code for status, answer in answers.items()} == {
        status: status for status in answers
    }
    assert all(answer.headers[READ] == SHOP for answer in answers.values())


def test_a_page_can_read_how_long_to_wait(shop: Shop) -> None:
    buckets = Buckets(lambda: 0)
    shop.app.extensions["vouch-limits"] = Limits(buckets, buckets)
    while buckets.wait_seconds("claim 127.0.0.1", 100_000) == 0.0:
        pass

    answer = shop.claim("junk", headers={"Origin": SHOP})

    assert problem(answer) == "too-many"
    assert answer.headers[READ] == SHOP
    assert answer.headers["Access-Control-Expose-Headers"] == "Retry-After"


@pytest.mark.parametrize(
    "path", ["/v1/claim-tokens", "/v1/claimsandmore", "/v1/identities/twitch/1", "/webhooks/twitch"]
)
def test_nothing_but_claims_may_be_called_from_another_origin(shop: Shop, path: str) -> None:
    for method in ("OPTIONS", "GET", "POST"):
        answer = shop.call(method, path, shop.backend_key, headers={"Origin": SHOP})

        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
