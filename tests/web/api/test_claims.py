"""What becomes of what a customer says?"""

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from app.web.api.claims import MAX_CLAIM_BYTES
from app.web.api.openapi import document
from tests.clock import Clock
from tests.web.conftest import CONFIG, OpenShop
from tests.web.shop import Shop, problem, wrong_fields

on_both_databases = pytest.mark.usefixtures("database_url")
DAY = 86_400


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("vouch_claims_total", {"outcome": outcome}) or 0.0


# What a claim earns


@on_both_databases
def test_a_claim_is_due_at_once_where_its_rule_believes_claims(shop: Shop) -> None:
    token = shop.token("ada", 100, email="a@b.c", mobile="+31 6 1234")

    answer = shop.claim(token, {"note": "done!"})

    assert answer.status_code == 202
    attempt = shop.attempt(answer.get_json()["attemptId"])
    assert answer.get_json() == {"attemptId": attempt.id, "state": "due"}
    assert (attempt.customer_id, attempt.challenge_id) == ("ada", 100)
    assert (attempt.email, attempt.mobile) == ("a@b.c", "+31 6 1234")
    assert (attempt.platform, attempt.action, attempt.evidence) == (
        "instagram",
        "follow",
        "claimed",
    )
    assert json.loads(attempt.claimed) == {"note": "done!"}
    assert attempt.next_at == shop.service.now()
    assert [award.attempt_id for award in shop.awards()] == [attempt.id]
    assert shop.timeline(attempt.id) == [
        (None, "checking", "customer"),
        ("checking", "due", "rule"),
    ]


@on_both_databases
def test_a_second_token_for_the_same_customer_and_challenge_earns_nothing_more(shop: Shop) -> None:
    first = shop.claimed(shop.token("ada", 100))
    second = shop.claimed(shop.token("ada", 100))

    assert (first["state"], second["state"]) == ("due", "duplicate")
    assert [award.attempt_id for award in shop.awards()] == [first["attemptId"]]


def test_another_customer_earns_the_same_challenge(shop: Shop) -> None:
    states = [shop.claimed(shop.token(customer, 100))["state"] for customer in ("ada", "bob")]

    assert states == ["due", "due"]


def test_a_claim_under_a_rule_with_a_hold_is_held(shop: Shop) -> None:
    made = shop.claimed(shop.token("ada", 500))

    assert made["state"] == "held"
    due_in = shop.attempt(made["attemptId"]).next_at - shop.service.now()
    assert due_in.total_seconds() == 3_600


def test_a_claim_wakes_the_worker_only_when_something_is_due(shop: Shop) -> None:
    woken: list[str] = []
    shop.service.wake_worker = lambda: woken.append("up")

    shop.claimed(shop.token("ada", 200))
    shop.claimed(shop.token("ada", 500))
    assert woken == []

    shop.claimed(shop.token("ada", 100))
    assert woken == ["up"]


def test_each_target_is_claimed_once(shop: Shop) -> None:
    states = [
        shop.claimed(shop.token("ada", 300), {"target": target})["state"]
        for target in ("post-1", "post-2", "post-1")
    ]

    assert states == ["due", "due", "duplicate"]
    assert {award.occurrence for award in shop.awards()} == {"target:post-1", "target:post-2"}


def test_each_day_in_utc_is_claimed_once(shop: Shop, clock: Clock) -> None:
    def claimed() -> str:
        state: str = shop.claimed(shop.token("ada", 400))["state"]
        return state

    today = [claimed(), claimed()]
    clock.advance(DAY / 2)

    assert today == ["due", "duplicate"]
    assert [claimed(), claimed()] == ["due", "duplicate"]
    assert [award.occurrence for award in shop.awards()] == ["day:2026-01-05", "day:2026-01-06"]


def test_a_claim_is_made_under_the_rule_that_its_evidence_names(open_shop: OpenShop) -> None:
    shop = open_shop(CONFIG + two_rules("share", "comment"))

    first = shop.claimed(shop.token("ada", 800), {"platform": "x", "action": "comment"})
    second = shop.claimed(shop.token("bob", 800))

    assert shop.attempt(first["attemptId"]).action == "comment"
    assert shop.attempt(second["attemptId"]).action == "share"


@pytest.mark.parametrize(
    "evidence", [{"platform": "twitch"}, {"action": "like"}, {"platform": "x", "action": "follow"}]
)
def test_a_claim_of_something_that_no_rule_rewards_is_refused(
    shop: Shop, evidence: dict[str, Any]
) -> None:
    answer = shop.claim(shop.token("ada", 100), evidence)

    assert (answer.status_code, problem(answer)) == (422, "no-rule")
    assert shop.attempts() == []


def test_a_claim_for_another_target_than_the_rules_is_refused(shop: Shop) -> None:
    assert problem(shop.claim(shop.token("ada", 200), {"target": "7331"})) == "no-rule"
    assert shop.claimed(shop.token("ada", 200), {"target": "1337"})["state"] == "checking"


@on_both_databases
def test_an_account_that_earned_for_one_customer_earns_by_no_claim_of_another(shop: Shop) -> None:
    shop.linked("insta-1", "ada", platform="instagram")
    first = shop.claimed(shop.token("ada", 100))
    shop.unlink("insta-1", platform="instagram")
    shop.linked("insta-1", "bob", platform="instagram")

    second = shop.claimed(shop.token("bob", 100))

    assert (first["state"], second["state"]) == ("due", "duplicate")


# The same token again


@on_both_databases
def test_the_same_token_again_gives_the_same_attempt(shop: Shop) -> None:
    token = shop.token("ada", 100)
    known = counted("known")

    first = shop.claimed(token, {"note": "first"})
    again = shop.claimed(token, {"note": "again", "platform": "nowhere"})

    assert again == first
    assert json.loads(shop.attempt(first["attemptId"]).claimed) == {"note": "first"}
    assert len(shop.attempts()) == len(shop.awards()) == 1
    assert counted("known") == known + 1


@on_both_databases
@pytest.mark.parametrize("challenge", [100, 200])
def test_the_same_token_from_many_threads_makes_one_attempt(shop: Shop, challenge: int) -> None:
    rounds, threads = 5, 8
    barrier = Barrier(threads)

    def claim_together(token: str) -> dict[str, Any]:
        barrier.wait(10)
        return shop.claimed(token)

    with ThreadPoolExecutor(threads) as pool:
        for number in range(rounds):
            token = shop.token(f"customer-{number}", challenge)
            answers = list(pool.map(claim_together, [token] * threads))
            assert len({answer["attemptId"] for answer in answers}) == 1

    assert len(shop.attempts()) == rounds
    assert len(shop.awards()) == (rounds if challenge == 100 else 0)


@on_both_databases
def test_many_tokens_of_one_customer_at_once_earn_one_award(shop: Shop) -> None:
    threads = 8
    barrier = Barrier(threads)
    tokens = [shop.token("ada", 100) for _ in range(threads)]

    def claim_together(token: str) -> str:
        barrier.wait(10)
        state: str = shop.claimed(token)["state"]
        return state

    with ThreadPoolExecutor(threads) as pool:
        states = sorted(pool.map(claim_together, tokens))

    assert states == ["due"] + ["duplicate"] * (threads - 1)
    assert len(shop.awards()) == 1


def test_a_retry_finds_its_attempt_after_the_token_expired(shop: Shop, clock: Clock) -> None:
    token = shop.token("ada", 100, ttlSeconds=60)
    first = shop.claimed(token)
    clock.advance(3 * DAY)

    assert shop.claimed(token) == first


def test_a_retry_finds_its_attempt_after_the_rule_was_taken_away(shop: Shop) -> None:
    token = shop.token("ada", 100)
    first = shop.claimed(token)
    path = shop.service.configuration.path
    path.write_text(path.read_text().replace("challenge_id = 100", "challenge_id = 101"))
    assert shop.service.reload()

    assert shop.claimed(token) == first
    assert problem(shop.claim(shop_token_of_before(shop))) == "no-rule"


# Tokens we do not believe


def test_an_expired_token_makes_no_attempt(shop: Shop, clock: Clock) -> None:
    token = shop.token("ada", 100, ttlSeconds=60)
    clock.advance(59)
    in_time = shop.token("bob", 100, ttlSeconds=60)
    clock.advance(1)

    answer = shop.claim(token)

    assert (answer.status_code, problem(answer)) == (401, "token-expired")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert shop.claimed(in_time)["state"] == "due"
    assert [attempt.customer_id for attempt in shop.attempts()] == ["bob"]


def test_a_changed_token_makes_no_attempt(shop: Shop) -> None:
    token = shop.token("ada", 100)
    refused = counted("token-invalid")

    answer = shop.claim("A" + token[1:])

    assert (answer.status_code, problem(answer)) == (401, "token-invalid")
    assert shop.attempts() == []
    assert counted("token-invalid") == refused + 1


def test_a_token_of_the_old_key_claims_after_the_keys_were_rotated(
    shop: Shop, open_shop: OpenShop
) -> None:
    token = shop.token("ada", 100)
    keys = f"an-even-newer-key-of-tests,{shop.service.secret_keys[0]}"

    rotated = open_shop(CONFIG, VOUCH_SECRET_KEYS=keys)

    assert rotated.claimed(token)["state"] == "due"
    assert problem(shop.claim(rotated.token("bob", 100))) == "token-invalid"


@pytest.mark.parametrize(
    "token", ["", "x", "\x00", "é", "A" * 30_000, "a.b.c", "....", "\u2028", "vouch_0_0"]
)
def test_a_junk_token_is_refused(shop: Shop, token: str) -> None:
    assert problem(shop.claim(token)) == "token-invalid"
    header = token.encode("utf-8").decode("latin-1")
    assert problem(shop.call("GET", "/v1/claims/1", header)) == "token-invalid"


def test_a_token_of_a_megabyte_is_refused(shop: Shop) -> None:
    assert problem(shop.claim("A" * 1_000_000)) == "too-large"
    assert problem(shop.call("GET", "/v1/claims/1", "A" * 1_000_000)) == "token-invalid"


def test_a_claim_is_small_before_its_token_is_believed(shop: Shop) -> None:
    body = json.dumps({"token": "A" * 20_000, "evidence": {"note": "x"}}).encode()

    for size, kind in ((MAX_CLAIM_BYTES, "token-invalid"), (MAX_CLAIM_BYTES + 1, "too-large")):
        answer = shop.call(
            "POST", "/v1/claims", data=body.ljust(size), content_type="application/json"
        )
        assert problem(answer) == kind


@settings(max_examples=300)
@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
@example("\ud800")
@example("." * 50_000)
def test_no_text_is_a_token_by_chance(shop: Shop, token: str) -> None:
    made = shop.call("POST", "/v1/claims", json={"token": token})
    read = shop.call("GET", "/v1/claims/1", headers={"Authorization": bearer_of(token)})

    assert made.status_code in (400, 401, 413)
    assert read.status_code == 401


# What a customer may say with it


@on_both_databases
@pytest.mark.parametrize(
    "evidence",
    [
        {},
        {"note": "zero \x00 width \u200d and \u202e bidi \ud83d\ude00"},
        {"\x00": "\x7f\x80\ufffe"},
        {"deep": [[[[[[[[[[1]]]]]]]]]], "url": "https://example.com/p/1"},
        {"model_config": 1, "said": 2, "__class__": 3, "self": 4, "model_fields": []},
        {"number": 10**400, "small": 1e-300},
    ],
    ids=ascii,
)
def test_what_a_customer_says_is_kept_as_it_came(shop: Shop, evidence: dict[str, Any]) -> None:
    body = json.dumps({"token": shop.token("ada", 100), "evidence": evidence})

    answer = shop.call("POST", "/v1/claims", data=body, content_type="application/json")

    assert answer.status_code == 202, answer.text
    kept = shop.attempt(answer.get_json()["attemptId"]).claimed
    assert (json.loads(kept) if kept else {}) == json.loads(json.dumps(evidence))


@on_both_databases
def test_what_a_customer_says_is_bounded_as_it_is_kept(shop: Shop) -> None:
    for filler in ("x", "é", "😀", "\x00", '"', "\n", "\u2028"):
        each = len(json.dumps(filler, ensure_ascii=False).encode()) - 2
        most = (4_000 - len('{"note": ""}')) // each

        enough = shop.claim(shop.token(f"ada {each}", 100), {"note": filler * most})
        too_much = shop.claim(shop.token("bob", 100), {"note": filler * (most + 1)})

        assert enough.status_code == 202
        assert wrong_fields(too_much) == ["evidence"]
    assert "bob" not in {attempt.customer_id for attempt in shop.attempts()}


@pytest.mark.parametrize(
    ("evidence", "kind"),
    [
        ('"text"', "invalid"),
        ("[]", "invalid"),
        ('{"note": NaN}', "invalid"),
        ('{"note": 1e999}', "invalid"),
        ('{"note": -Infinity}', "invalid"),
        ('{"note": ' + "9" * 5_000 + "}", "malformed"),
        ('{"note": "\\ud800"}', "malformed"),
        ('{"\\udfff": 1}', "malformed"),
        ('{"note": ' + "[" * 1_500 + "]" * 1_500 + "}", "malformed"),
        ('{"target": 5}', "invalid"),
        ('{"target": ""}', "invalid"),
        ('{"target": "a\\u0000b"}', "invalid"),
        ('{"target": "' + "t" * 256 + '"}', "invalid"),
        ('{"platform": "No Such"}', "invalid"),
        ('{"action": ["follow"]}', "invalid"),
    ],
    ids=lambda text: text[:24],
)
def test_what_cannot_be_kept_or_read_is_refused(shop: Shop, evidence: str, kind: str) -> None:
    body = f'{{"token": "{shop.token("ada", 100)}", "evidence": {evidence}}}'

    answer = shop.call("POST", "/v1/claims", data=body, content_type="application/json")

    assert problem(answer) == kind
    assert shop.attempts() == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["token", "evidence", "platform", "action", "target"]) | st.text(),
            inner,
        )
    ),
    max_leaves=20,
)


@on_both_databases
@given(JSON, JSON)
def test_no_body_makes_it_our_fault(shop: Shop, body: Any, evidence: Any) -> None:
    with_token = {"token": shop.token(str(uuid4()), 300), "evidence": evidence}

    assert shop.call("POST", "/v1/claims", json=body).status_code < 500
    assert shop.call("POST", "/v1/claims", json=with_token).status_code < 500


@given(st.binary(max_size=200), st.sampled_from(["application/json", "text/plain", "", "\x80/é"]))
def test_no_bytes_make_it_our_fault(shop: Shop, raw: bytes, content_type: str) -> None:
    answer = shop.call("POST", "/v1/claims", data=raw, content_type=content_type)

    assert answer.status_code in (400, 401, 415, 422)


# Claims that wait for their proof


@on_both_databases
def test_a_claim_waits_until_the_platform_confirms_it(shop: Shop) -> None:
    shop.linked("tw-1", "ada")
    token = shop.token("ada", 200, email="a@b.c")
    made = shop.claimed(token)
    assert made["state"] == "checking"
    assert shop.awards() == []

    shop.follow("tw-1")

    (attempt,) = shop.attempts()
    assert attempt.id == made["attemptId"]
    assert (attempt.state, attempt.evidence, attempt.source) == ("due", "signed", "twitch")
    assert (attempt.account_id, attempt.target) == ("tw-1", "1337")
    assert attempt.event_id is not None
    assert attempt.email == "a@b.c"
    assert attempt.next_at == shop.service.now()
    assert [award.attempt_id for award in shop.awards()] == [attempt.id]
    assert shop.timeline(attempt.id)[-1] == ("checking", "due", "source:twitch")
    assert shop.view(attempt.id, token).get_json()["state"] == "due"


@on_both_databases
def test_an_event_of_another_customer_or_channel_confirms_nothing(shop: Shop) -> None:
    shop.linked("tw-1", "ada")
    shop.linked("tw-2", "bob")
    made = shop.claimed(shop.token("ada", 200))

    shop.follow("tw-2", "event-1")
    shop.follow("tw-1", "event-2", target="7331")
    shop.follow("tw-3", "event-3")

    assert shop.attempt(made["attemptId"]).state == "checking"


@on_both_databases
def test_a_claim_after_the_event_was_paid_is_a_duplicate(shop: Shop) -> None:
    shop.linked("tw-1", "ada")
    shop.follow("tw-1")

    made = shop.claimed(shop.token("ada", 200))

    assert made["state"] == "duplicate"
    assert len(shop.awards()) == 1


@on_both_databases
def test_an_event_that_came_before_claim_and_link_pays_the_claim(shop: Shop) -> None:
    shop.follow("tw-1")
    made = shop.claimed(shop.token("ada", 200))
    assert {attempt.state for attempt in shop.attempts()} == {"unlinked", "checking"}

    linked = shop.linked("tw-1", "ada")

    assert linked["releasedAttempts"] == 1
    claim = shop.attempt(made["attemptId"])
    event = next(attempt for attempt in shop.attempts() if attempt.id != claim.id)
    assert (claim.state, claim.evidence, claim.account_id) == ("due", "signed", "tw-1")
    assert (event.state, event.customer_id) == ("duplicate", "ada")
    assert claim.id in event.reason
    assert [(award.attempt_id, award.account_id) for award in shop.awards()] == [(claim.id, "tw-1")]


@on_both_databases
def test_a_claim_takes_the_occurrence_of_the_event_that_confirms_it(
    shop: Shop, clock: Clock
) -> None:
    shop.linked("tw-1", "ada")
    shop.claimed(shop.token("ada", 700))
    clock.advance(DAY)

    shop.follow("tw-1", target="9000")

    assert [award.occurrence for award in shop.awards()] == ["day:2026-01-06"]


# What a customer may know


@on_both_databases
def test_a_customer_sees_the_state_and_never_why(shop: Shop, clock: Clock) -> None:
    token = shop.token("ada", 100)
    shop.claimed(shop.token("ada", 100))
    clock.advance(1)
    made = shop.claimed(token)

    answer = shop.view(made["attemptId"], token)

    assert answer.status_code == 200
    assert answer.get_json() == {
        "attemptId": made["attemptId"],
        "challengeId": 100,
        "state": "duplicate",
        "createdAt": "2026-01-05T12:00:01.123456Z",
        "updatedAt": "2026-01-05T12:00:01.123456Z",
    }


def test_an_expired_token_still_reads_for_a_week(shop: Shop, clock: Clock) -> None:
    token = shop.token("ada", 100, ttlSeconds=60)
    made = shop.claimed(token)
    clock.advance(7 * DAY - 1)
    in_the_week = shop.view(made["attemptId"], token)
    clock.advance(1)
    after = shop.view(made["attemptId"], token)

    assert in_the_week.status_code == 200
    assert problem(after) == "token-expired"
    assert problem(shop.claim(token)) == "token-expired"


@on_both_databases
def test_a_token_reads_its_own_attempt_only(shop: Shop) -> None:
    others = shop.claimed(shop.token("bob", 100))["attemptId"]
    unused, used = shop.token("ada", 100), shop.token("ada", 100)
    shop.claimed(used)

    for token in (unused, used):
        for attempt_id in (others, "1", "%00", "not-a-uuid", "%ff", "0" * 5_000, "é"):
            assert problem(shop.view(attempt_id, token)) == "unknown"


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic YTpi", "bearer x"])
def test_nobody_reads_without_a_token(shop: Shop, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}

    assert problem(shop.call("GET", "/v1/claims/1", headers=headers)) == "token-invalid"


def test_an_api_key_is_no_claim_token(shop: Shop) -> None:
    made = shop.claimed(shop.token("ada", 100))

    assert problem(shop.view(made["attemptId"], shop.backend_key)) == "token-invalid"


# How often


def strict(per_customer: int = 100_000, per_address: int = 100_000, proxies: int = 0) -> str:
    return (
        CONFIG.replace(
            "per_customer_per_minute = 100000", f"per_customer_per_minute = {per_customer}"
        )
        .replace("per_address_per_minute = 100000", f"per_address_per_minute = {per_address}")
        .replace("[web]", f"[web]\ntrusted_proxies = {proxies}")
    )


def test_a_customer_who_claims_too_often_is_told_when_to_try_again(
    open_shop: OpenShop, clock: Clock
) -> None:
    shop = open_shop(strict(per_customer=2))
    tokens = [shop.token("ada", 100) for _ in range(4)]
    too_many = counted("too-many")

    answers = [shop.claim(token) for token in tokens]

    assert [answer.status_code for answer in answers] == [202, 202, 429, 429]
    assert problem(answers[2]) == "too-many"
    assert answers[2].headers["Retry-After"] == "30"
    assert counted("too-many") == too_many + 2
    assert len(shop.attempts()) == 2
    assert shop.claim(shop.token("bob", 100)).status_code == 202
    clock.advance(30)
    assert shop.claim(tokens[2]).status_code == 202


def test_an_address_is_counted_before_its_token_is_looked_at(open_shop: OpenShop) -> None:
    shop = open_shop(strict(per_address=2))
    good = shop.token("ada", 100)

    answers = [shop.claim("junk"), shop.claim("junk"), shop.claim(good)]

    assert [problem(answer) for answer in answers] == ["token-invalid", "token-invalid", "too-many"]
    assert shop.attempts() == []


def test_reading_does_not_use_up_claiming_and_is_limited_too(open_shop: OpenShop) -> None:
    shop = open_shop(strict(per_customer=2))
    token = shop.token("ada", 100)
    made = shop.claimed(token)

    statuses = [shop.view(made["attemptId"], token).status_code for _ in range(3)]

    assert statuses == [200, 200, 429]
    assert shop.claimed(token) == made


def test_addresses_are_told_apart_behind_a_trusted_proxy(open_shop: OpenShop) -> None:
    shop = open_shop(strict(per_address=1, proxies=1))

    def claim_from(forwarded: str) -> str:
        return problem(shop.claim("junk", headers={"X-Forwarded-For": forwarded}))

    assert claim_from("203.0.113.1") == "token-invalid"
    assert claim_from("203.0.113.2") == "token-invalid"
    assert claim_from("203.0.113.1") == "too-many"
    assert claim_from("198.51.100.7, 203.0.113.1") == "too-many"
    assert claim_from("2001:db8::1") == "token-invalid"
    assert claim_from("2001:db8::ffff:1") == "too-many"


def test_without_a_trusted_proxy_nobody_chooses_an_address(open_shop: OpenShop) -> None:
    shop = open_shop(strict(per_address=1))

    answers = [
        shop.claim("junk", headers={"X-Forwarded-For": f"203.0.113.{number}"})
        for number in range(3)
    ]

    assert [problem(answer) for answer in answers] == ["token-invalid", "too-many", "too-many"]


def test_claims_are_counted_by_what_became_of_them(shop: Shop) -> None:
    before = {outcome: counted(outcome) for outcome in ("due", "checking", "duplicate", "no-rule")}

    shop.claim(shop.token("ada", 100))
    shop.claim(shop.token("ada", 100))
    shop.claim(shop.token("ada", 200))
    shop.claim(shop.token("ada", 100), {"action": "like"})

    after = {outcome: counted(outcome) - 1 for outcome in before}
    assert after == before


def test_the_api_describes_claims(shop: Shop) -> None:
    paths = document(shop.app)["paths"]

    claim, read = paths["/v1/claims"], paths["/v1/claims/{attemptId}"]
    assert set(claim) == {"post"}
    assert set(claim["post"]["responses"]) >= {"202", "400", "401", "413", "415", "422", "429"}
    assert claim["post"]["security"] == []
    assert read["get"]["security"] == [{"claimToken": []}]
    assert set(read["get"]["responses"]) >= {"200", "401", "404", "429"}
    assert paths["/v1/claim-tokens"]["post"]["security"] == [{"key": []}]


def two_rules(*actions: str) -> str:
    return "".join(
        f'\n[[rules]]\nchallenge_id = 800\nplatform = "x"\naction = "{action}"\n'
        'evidence = "claimed"\n'
        for action in actions
    )


def shop_token_of_before(shop: Shop) -> str:
    """A token for a challenge that had a rule when it was minted."""
    path = shop.service.configuration.path
    after = path.read_text()
    path.write_text(after.replace("challenge_id = 101", "challenge_id = 100"))
    assert shop.service.reload()
    token = shop.token("bob", 100)
    path.write_text(after)
    assert shop.service.reload()
    return token


def bearer_of(token: str) -> str:
    """A header with a token in it; the test client itself refuses line breaks."""
    return "Bearer " + token.encode("utf-8", "surrogatepass").decode("latin-1").translate(
        {10: "", 13: ""}
    )
