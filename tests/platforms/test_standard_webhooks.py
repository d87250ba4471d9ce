"""Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks, spec and libraries."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from app.outgoing.alert_messages import AlertText, message_for
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Forged, Malformed
from app.platforms.kit.signing import CannotSign
from app.settings.receivers import Receiver
from tests.platforms.callbacks import NOW, adapter_of, callback, only_event, signed

ID, TIME, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
SECRET = "whsec_" + base64.b64encode(b"a key of thirty-two bytes, surely").decode()
PAIR = Ed25519PrivateKey.from_private_bytes(b"a seed of precisely 32 bytes ...")
NO_SIGNATURES = [
    "v1", "v1,", "v1,abc", "v1,ä", "v1,NaN", "v1a", "v1a,", "v1a,abc", "v1a,ä", ",", " ",
    "v1, v1a,", "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "x" * 1_000_000, "v1a," * 1_000,
]  # fmt: skip
BODY = {"action": "follow", "actor": "42", "target": "1337"}


def public(pair: Ed25519PrivateKey) -> str:
    raw = pair.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return "whpk_" + base64.b64encode(raw).decode()


def partner(*secrets: str) -> Adapter:
    return adapter_of("standard-webhooks", secrets=secrets or (SECRET,))


def sent(body: object = BODY, *, identity: str = "msg_1", at: datetime = NOW) -> Callback:
    return signed(partner(), body, {ID: identity}, at=at)


def read(body: object) -> Any:
    believed = sent(body)
    partner().verify(believed)
    return only_event(partner().read(believed))


def with_signature(signature: str, headers: Mapping[str, str] | None = None) -> Callback:
    base = {ID: "msg_1", TIME: str(int(NOW.timestamp())), SIGNATURE: signature}
    return callback(json.dumps(BODY).encode(), {**base, **(headers or {})})


def by_pair(pair: Ed25519PrivateKey = PAIR) -> str:
    content = f"msg_1.{int(NOW.timestamp())}.{json.dumps(BODY)}"
    return "v1a," + base64.b64encode(pair.sign(content.encode())).decode()


def test_the_documented_body_is_read() -> None:
    event = read({**BODY, "time": "2026-01-01T00:00:00Z", "handle": "jo", "undone": True})

    assert (event.action, event.actor, event.target) == ("follow", "42", "1337")
    assert (event.key, event.actor_handle, event.undone) == ("msg_1", "jo", True)
    assert event.occurred_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_only_action_and_actor_must_be_there_and_the_time_is_then_the_signed_one() -> None:
    earlier = NOW - timedelta(seconds=100)
    believed = sent({"action": "follow", "actor": 42}, at=earlier)

    event = only_event(partner().read(believed))

    assert (event.actor, event.target, event.actor_handle) == ("42", None, None)
    assert (event.occurred_at, event.undone) == (earlier, False)


def test_the_envelope_of_the_specification_is_read() -> None:
    data = {"actor": "42", "target": "1337", "handle": "jo", "undone": True}

    event = read({"type": "follow", "timestamp": "2026-01-01T00:00:00Z", "data": data})

    assert (event.action, event.actor, event.target) == ("follow", "42", "1337")
    assert (event.actor_handle, event.undone) == ("jo", True)
    assert event.occurred_at == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "wrong",
    [
        {"action": None},
        {"action": ""},
        {"action": "follow\n"},
        {"actor": None},
        {"actor": ["42"]},
        {"target": {}},
        {"time": "yesterday"},
        {"time": 1767225600},
        {"undone": "true"},
        {"undone": None},
        {"action": None, "type": "follow", "data": []},
    ],
    ids=str,
)
def test_a_signed_body_of_another_shape_is_malformed(wrong: dict[str, Any]) -> None:
    body = {name: value for name, value in {**BODY, **wrong}.items() if value is not None}
    body = {**body, "undone": None} if "undone" in wrong and wrong["undone"] is None else body

    with pytest.raises(Malformed):
        read(body)


@pytest.mark.parametrize("word", ["Follow", "contact.created", "alert.raised", "a" * 65])
def test_a_type_that_is_none_of_our_words_is_ignored(word: str) -> None:
    envelope = {"type": word, "timestamp": "2026-01-01T00:00:00Z", "data": {"id": "7"}}

    for body in (envelope, {"action": word}):
        assert partner().read(sent(body)).ignored == (f"{word} earns nothing",)


def test_a_partners_types_are_translated() -> None:
    words = {"member.joined": "join", "joined": "follow"}
    adapter = adapter_of(
        "standard-webhooks", secrets=(SECRET,), actions=words, undone={"member.left": "join"}
    )

    def said(word: str) -> Any:
        data = {"type": word, "timestamp": "2026-01-01T00:00:00Z", "data": {"actor": "42"}}
        return adapter.read(signed(adapter, data, {ID: "msg_1"}))

    joined, left = only_event(said("member.joined")), only_event(said("member.left"))

    assert (joined.action, joined.undone, left.action, left.undone) == ("join", False, "join", True)
    assert said("follow").ignored == ("follow earns nothing",)


def test_a_word_cannot_mean_an_action_and_its_undoing() -> None:
    with pytest.raises(ValueError, match="both in actions and in undone"):
        adapter_of("standard-webhooks", actions={"a.b": "join"}, undone={"a.b": "join"})


def as_svix(believed: Callback) -> dict[str, str]:
    return {name.replace("webhook-", "svix-"): v for name, v in believed.headers.items()}


def test_the_headers_may_have_the_names_that_svix_gives_them() -> None:
    believed = sent()
    adapter, theirs = partner(), callback(believed.body, as_svix(believed))

    adapter.verify(theirs)

    assert only_event(adapter.read(theirs)) == only_event(adapter.read(believed))


@pytest.mark.parametrize("name", ["svix-id", "svix-timestamp", "svix-signature"])
def test_headers_of_both_names_are_never_mixed(name: str) -> None:
    believed = sent()
    headers = as_svix(believed)
    headers[name.replace("svix-", "webhook-")] = headers.pop(name)

    with pytest.raises(Forged):
        partner().verify(callback(believed.body, headers))


def test_our_own_alerts_pass_and_earn_nothing() -> None:
    receiver = Receiver.model_validate(
        {"name": "us", "kind": "webhook", "url": "https://us.example/hook", "secret": SECRET}
    )
    told = AlertText(
        id="msg-1",
        what="raised",
        kind="database_down",
        subject="",
        text="The database is down.",
        raised_at=NOW,
        cleared_at=None,
    )
    made = message_for(receiver, told, NOW)

    adapter, arrived = partner(), callback(made.body, made.headers)
    adapter.verify(arrived)

    assert adapter.read(arrived).ignored == ("alert.raised earns nothing",)


def test_an_id_with_a_full_stop_is_forged_even_under_the_right_key() -> None:
    with pytest.raises(Forged):
        partner().verify(sent(identity="msg.1"))


def test_the_same_id_with_a_new_timestamp_is_the_same_event() -> None:
    first, retry = sent(), sent(at=NOW + timedelta(hours=2))

    keys = {only_event(partner().read(one)).key for one in (first, retry)}

    partner().verify(retry)
    assert keys == {"msg_1"}


def test_one_matching_signature_among_others_is_enough() -> None:
    right = sent().headers[SIGNATURE]

    partner().verify(with_signature(f"v1,AAAA v2,whatever v1a,AAAA v1 {right} v9,x"))


@pytest.mark.parametrize("signature", NO_SIGNATURES, ids=lambda signature: repr(signature[:12]))
def test_a_signature_that_is_none_is_forged(signature: str) -> None:
    with pytest.raises(Forged):
        partner(SECRET, public(PAIR)).verify(with_signature(signature))


def test_a_long_list_of_signatures_is_not_worked_through() -> None:
    with pytest.raises(Forged, match="more than 16"):
        partner(public(PAIR)).verify(with_signature(" ".join([by_pair()] * 17)))


def test_a_pair_of_keys_is_believed_by_its_public_half() -> None:
    partner(public(PAIR)).verify(with_signature(by_pair()))
    partner(SECRET, public(PAIR)).verify(with_signature(f"v1,AAAA {by_pair()}"))

    for changed in ({ID: "msg_2"}, {TIME: str(int(NOW.timestamp()) + 1)}):
        with pytest.raises(Forged):
            partner(public(PAIR)).verify(with_signature(by_pair(), changed))
    with pytest.raises(Forged):
        partner(public(Ed25519PrivateKey.generate())).verify(with_signature(by_pair()))


def test_a_public_key_is_never_an_hmac_key() -> None:
    raw = public(PAIR).removeprefix("whpk_")
    by_the_public_key = signed(partner(raw), BODY, {ID: "msg_1"})

    with pytest.raises(Forged):
        partner(public(PAIR)).verify(by_the_public_key)


def test_whoever_holds_only_a_public_key_cannot_sign() -> None:
    with pytest.raises(CannotSign, match="no key of partner can sign"):
        signed(partner(public(PAIR)), BODY, {ID: "msg_1"})


@pytest.mark.parametrize("written", [SECRET, SECRET.rstrip("="), SECRET.removeprefix("whsec_")])
def test_a_secret_may_stand_without_its_prefix_or_padding(written: str) -> None:
    partner(written).verify(sent())


@pytest.mark.parametrize(
    ("secret", "complaint"),
    [
        ("whsec_", "24 to 64 bytes"),
        ("whsec_AAAA", "24 to 64 bytes"),
        ("whsec_" + "A" * 400, "24 to 64 bytes"),
        ("whsec_not base64!", "not base64"),
        ("whpk_AAAA", "32 bytes"),
        ("whpk_!", "not base64"),
        ("whsk_" + "A" * 44, "public key of a pair"),
        ("sk_test_AAAA", "whsec_"),
    ],
)
def test_a_secret_that_is_none_is_named_with_its_place(secret: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as error:
        partner(SECRET, secret)

    assert "secrets.1" in str(error.value)


def oracle_accepts(of: Callback) -> bool:
    """What the reference library says; its clock cannot be set, so it is ours that is right now."""
    try:
        Webhook(SECRET).verify(of.body, dict(of.headers))
    except (WebhookVerificationError, ValueError):
        return False
    return True


def we_accept(of: Callback) -> bool:
    try:
        partner().verify(of)
    except Forged:
        return False
    return True


@given(st.text("abc_-", min_size=1), st.dictionaries(st.text(), st.integers()))
def test_the_reference_library_believes_what_we_sign(identity: str, body: dict[str, int]) -> None:
    ours = sent(body, identity=identity, at=datetime.now(UTC))

    assert oracle_accepts(ours)


@given(st.text("abc_-", min_size=1), st.text())
def test_we_believe_what_the_reference_library_signs(identity: str, body: str) -> None:
    now = datetime.now(UTC)
    signature = Webhook(SECRET).sign(identity, now, body)
    headers = {ID: identity, TIME: str(int(now.timestamp())), SIGNATURE: signature}

    assert we_accept(callback(body.encode(), headers, at=now))


@given(st.data())
def test_we_believe_nothing_that_the_reference_library_does_not(data: st.DataObject) -> None:
    honest = sent(at=datetime.now(UTC))
    name = data.draw(st.sampled_from([ID, TIME, SIGNATURE]))
    value = honest.headers[name]
    cut = data.draw(st.integers(0, len(value)))
    inserted = data.draw(st.sampled_from(["", " ", ",", "v1,", "A", "=", "9", "ä"]))
    headers = {**honest.headers, name: value[:cut] + inserted + value[cut + 1 :]}
    changed = callback(honest.body, headers, at=honest.received_at)

    assert we_accept(changed) <= oracle_accepts(changed)
