"""A partner that is known from the configuration alone: docs/partners.md."""

import base64
import hashlib
import hmac
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Example, Forged, Malformed, Reading
from app.platforms.kit.examples import templates
from app.platforms.kit.places import Body, Header, Item, Query
from app.platforms.kit.signing import CannotSign
from app.platforms.kit.templates import nested, parts_of, place_of
from tests.platforms.callbacks import NOW, adapter_of, arrived, callback, only_event

PAGE = (Path(__file__).parents[2] / "docs" / "partners.md").read_text("utf-8")
VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text())
BLOCKS = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", PAGE, re.S)]
SIMPLE: dict[str, Any] = {
    "secrets": ["a-secret"],
    "header": "X-Signature",
    "item": "",
    "signed": "{body}",
    "timestamp": "",
    "event_id": "id",
    "action": "type",
    "actor": "user",
    "handle": "",
    "target": "on",
    "time": "at",
    "time_format": "unix",
    "actions": {"liked": "like", "joined": "join"},
    "undone": {"left": "join"},
}
LIKED = {"id": "e-1", "type": "liked", "user": 42, "on": "p-7", "at": int(NOW.timestamp())}


def partner(**options: Any) -> Adapter:
    return adapter_of("hmac", **{**SIMPLE, **options})


def sent(body: object, headers: dict[str, str] | None = None) -> Callback:
    """A callback that the simple partner signs, by hand."""
    raw = json.dumps(body).encode()
    proof = hmac.new(b"a-secret", raw, hashlib.sha256).hexdigest()
    return callback(raw, {"X-Signature": proof, **(headers or {})})


def told(body: object, **options: Any) -> Reading:
    adapter, believed = partner(**options), sent(body)
    adapter.verify(believed)
    return adapter.read(believed)


def test_the_partners_words_become_ours() -> None:
    event = only_event(told(LIKED))

    assert (event.action, event.actor, event.target) == ("like", "42", "p-7")
    assert (event.key, event.undone, event.occurred_at) == ("liked:e-1", False, NOW)


def test_a_word_that_takes_back_is_undone() -> None:
    event = only_event(told({**LIKED, "type": "left"}))

    assert (event.action, event.undone) == ("join", True)


def test_a_word_without_one_of_ours_earns_nothing() -> None:
    assert told({**LIKED, "type": "viewed"}).ignored == ("viewed earns nothing",)


def test_an_event_may_lack_its_target_and_its_time() -> None:
    event = only_event(told({"id": "e-1", "type": "joined", "user": "42"}))

    assert (event.target, event.occurred_at) == (None, NOW)


@pytest.mark.parametrize("missing", ["id", "type"])
def test_an_event_without_its_id_or_word_is_malformed(missing: str) -> None:
    with pytest.raises(Malformed):
        told({key: value for key, value in LIKED.items() if key != missing})


def test_without_a_path_to_the_id_equal_bodies_are_one_event_and_others_are_not() -> None:
    keys = [
        only_event(told(body, event_id="")).key for body in (LIKED, LIKED, {**LIKED, "on": "p-8"})
    ]

    assert keys[0] == keys[1] != keys[2]


def test_a_member_called_as_in_json_ld_is_the_partners_and_not_the_id() -> None:
    body = {**LIKED, "@id": "urn:post:7"}

    event = only_event(told(body, target="@id"))

    assert event.target == "urn:post:7"


def test_an_id_in_a_signed_header_is_the_key() -> None:
    adapter = partner(event_id="header:X-Id", signed="{header:X-Id}/{body}")
    raw = json.dumps(LIKED).encode()
    proof = hmac.new(b"a-secret", b"d-9/" + raw, hashlib.sha256).hexdigest()
    believed = callback(raw, {"X-Signature": proof, "X-Id": "d-9"})

    adapter.verify(believed)

    assert only_event(adapter.read(believed)).key == "liked:d-9"


@pytest.mark.parametrize(
    ("written", "options"),
    [
        ("612d736563726574", {"secrets_are": "hex"}),
        (base64.b64encode(b"a-secret").decode(), {"secrets_are": "base64"}),
    ],
)
def test_a_key_may_be_written_in_digits(written: str, options: dict[str, str]) -> None:
    partner(secrets=[written], **options).verify(sent(LIKED))

    with pytest.raises(Forged):
        partner(secrets=[written]).verify(sent(LIKED))


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
def test_the_algorithm_is_the_configured_one(algorithm: str) -> None:
    raw = json.dumps(LIKED).encode()
    digest = hmac.new(b"a-secret", raw, algorithm).digest()
    proof = "v=" + base64.b64encode(digest).decode()
    adapter = partner(algorithm=algorithm, encoding="base64", prefix="v=")

    adapter.verify(callback(raw, {"X-Signature": proof}))

    with pytest.raises(Forged):
        adapter.verify(sent(LIKED))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"signed": "{timestamp}.", "timestamp": "header:X-Time"}, "no {body}"),
        ({"timestamp": "header:X-Time"}, "no {timestamp}"),
        ({"timestamp": "X-Time"}, "timestamp is no"),
        ({"timestamp": "header:"}, "timestamp is no"),
        ({"signed": "{timestamp}{body}"}, "{timestamp} is not one of"),
        ({"signed": "{payload}{body}"}, "{payload} is not one of"),
        ({"event_id": "header:X-Id"}, "is not signed"),
        (
            {"event_id": "header:X-Id", "signed": "{header:X-Type}{header:X-Id}{body}"},
            "put text between",
        ),
        ({"actions": {}, "undone": {}}, "actions is empty"),
        ({"undone": {"liked": "like"}}, "both"),
        ({"secrets_are": "hex"}, "secrets_are"),
        ({"secrets_are": "base64", "secrets": ["§"]}, "secrets_are"),
        ({"actions": {"liked": "Like it"}}, "actions"),
        ({"header": "X Signature"}, "header"),
        ({"action": ""}, "action"),
        ({"actor": "a..b"}, "actor"),
        ({"encoding": "base32"}, "encoding"),
        ({"algorithm": "md5"}, "algorithm"),
    ],
)
def test_what_could_only_look_safe_or_cannot_be_read_is_a_mistake(
    options: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        partner(**options)


@pytest.mark.parametrize("name", sorted(templates("hmac")))
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"event_id": ""},
        {"event_id": "header:X-Id", "signed": "{header:X-Id}.{query:n}{body}"},
        {"target": "", "handle": "who.name", "time_format": "iso"},
        {
            "timestamp": "header:X-Time",
            "signed": "{timestamp}{body}",
            "timestamp_format": "unix_ms",
        },
    ],
)
def test_an_example_is_sent_in_the_words_of_whatever_partner_is_configured(
    name: str, options: dict[str, Any]
) -> None:
    words = {"liked": "like", "followed": "follow", "shared": "share", "said": "comment"}
    adapter = partner(actions=words, undone={"unfollowed": "follow"}, **options)
    example = templates("hmac")[name].fill(actor="42", target="p-7", key="k", now=NOW)
    example = Example(example.body, example.headers, {"n": "1"})

    there = arrived(adapter.sign(example, NOW))

    adapter.verify(there)
    event = only_event(adapter.read(there))
    wanted = templates("hmac")[name].expect[0]
    assert (event.action, event.undone) == (wanted["action"], wanted["undone"])
    assert (event.actor, event.occurred_at) == ("42", NOW)


def test_what_the_partner_has_no_word_for_cannot_be_sent() -> None:
    example = templates("hmac")["share"].fill(actor="42", target="p-7", key="k", now=NOW)

    with pytest.raises(CannotSign, match="no word for share"):
        partner().sign(example, NOW)


def test_the_page_shows_a_source_that_reads_the_body_it_shows() -> None:
    (options,) = BLOCKS[0]["sources"]
    shown = re.search(r"```json\n(.*?)```", PAGE, re.S)
    assert shown
    adapter = adapter_of(**{**options, "secrets": ["a-secret"]})

    event = only_event(adapter.read(callback(shown[1].encode())))

    assert (event.action, event.actor, event.target) == ("follow", "42", "sneakers")
    assert (event.actor_handle, event.key) == ("ann", "member.followed:e-1")


@pytest.mark.parametrize("block", BLOCKS[1:], ids=lambda block: block["header"])
def test_each_known_sender_on_the_page_is_judged_by_its_published_signature(
    block: dict[str, Any],
) -> None:
    ours = [
        v for v in VECTORS if v["adapter"] == "hmac" and v["options"]["header"] == block["header"]
    ]

    as_tested = {
        key: value for key, value in ours[0]["options"].items() if value and key != "secrets"
    }

    assert {"signed": "{body}", **block} == as_tested


UNIX = str(int(NOW.timestamp()))


@pytest.mark.parametrize(
    ("signed", "form", "sent_as", "read_as"),
    [
        ("{header:X-Id}{timestamp}{body}", "unix", ("e-10", UNIX), ("e-1", f"0{UNIX}")),
        (
            "{header:X-Id}{timestamp}{body}",
            "unix_ms",
            ("e-10", f"{UNIX}000"),
            ("e-1", f"0{UNIX}000"),
        ),
        (
            "{timestamp}.{header:X-Id}.{body}",
            "iso",
            ("e-1", "2026-11-23T12:00:00.5Z"),
            ("5Z.e-1", "2026-11-23T12:00:00"),
        ),
        (
            "{timestamp}:{header:X-Id}:{body}",
            "iso",
            ("e-1", "2026-11-23T12:00:00+00:00"),
            ("00:e-1", "2026-11-23T12:00:00+00"),
        ),
    ],
)
def test_no_letter_moves_between_the_time_and_the_id_so_that_one_proof_fits_two_ids(
    signed: str, form: str, sent_as: tuple[str, str], read_as: tuple[str, str]
) -> None:
    adapter = partner(
        signed=signed, timestamp="header:X-Time", timestamp_format=form, event_id="header:X-Id"
    )
    body = json.dumps({**LIKED, "id": None}).encode()
    content = signed.replace("{timestamp}", sent_as[1]).replace("{header:X-Id}", sent_as[0])
    content = content.replace("{body}", body.decode())
    proof = hmac.new(b"a-secret", content.encode(), hashlib.sha256).hexdigest()

    def arriving(event_id: str, time: str) -> Callback:
        return callback(body, {"X-Signature": proof, "X-Id": event_id, "X-Time": time})

    adapter.verify(arriving(*sent_as))
    with pytest.raises(Forged, match="begins with a zero, or lacks its offset"):
        adapter.verify(arriving(*read_as))


def test_a_place_is_a_header_a_query_parameter_or_an_item_of_the_signature() -> None:
    assert place_of("header:X-Id", "X-S") == Header("X-Id")
    assert place_of("query:id", "X-S") == Query("id")
    assert place_of("item:t", "X-S") == Item("X-S", "t")
    assert place_of("data.id", "X-S") is place_of("", "X-S") is place_of("body:x", "X-S") is None


def test_what_stands_between_placeholders_is_signed_as_it_stands() -> None:
    parts = parts_of("v0:{query:n}.{body}\n", "X-S", {"body": Body()})

    assert parts == (b"v0:", Query("n"), b".", Body(), b"\n")


def test_paths_that_share_a_beginning_share_an_object() -> None:
    assert nested({"a.b": 1, "a.c.d": 2, "e": 3}) == {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
