"""What every adapter promises, shown from its examples alone: a new platform adds no test here."""

import json
import re
import sys
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import app.platforms
from app.domain.events import Event
from app.domain.texts import is_written
from app.platforms import adapters
from app.platforms.kit.adapter import MOST_UNPROVEN_PARTS, Adapter
from app.platforms.kit.callback import Callback, Forged, Malformed, Refusal, Reply, TooLarge
from app.platforms.kit.examples import (
    Template,
    example_source,
    handshakes,
    signing_keys,
    templates,
)
from app.platforms.kit.key_pairs import PairScheme
from app.platforms.kit.places import Field, Item, Place, Query
from app.platforms.kit.signing import CannotSign
from app.platforms.kit.xml import xml_object
from tests.platforms.callbacks import NOW, adapter_of, arrived

EXAMPLES = Path(app.platforms.__file__).parent / "examples"
ACTOR, TARGET, KEY = "1234", "5678_90", "-7953119945885597316"
JUNK = [
    "",
    "   ",
    "\x00",
    "NaN",
    "null",
    "v1",
    "v1,abc",
    "sha256=",
    "ünïcödé",
    "✓ 日本",
    "A" * 1_000_000,
]
QUERIES = [
    *("crc_token", "hub.mode", "hub.verify_token", "hub.challenge", "hub.topic", "challenge"),
    *("challengeCode", "echostr", "signature", "other"),
]
NO_OBJECTS = [
    b"", b"null", b"[]", b"1", b'"text"', b"{", b"{}x", b"a=1&b=2", b"\x00", b"\xff\xfe",
    b'{"a": NaN}', b'{"a": 1e999}', b"[" * 100_000,
    b'{"a":' * 100_000, b'{"a":' + b"9" * 5_000 + b"}",
]  # fmt: skip

SCRAPS = [
    b"", b"<a/>", b"</a>", b"<entry>", b"&lt;", b"&x;", b"<![CDATA[x]]>", b"%00", b"&a=",
    b"9" * 300,    b'<!DOCTYPE a [<!ENTITY x "y">]>', b"\x00", b"\xff", b"<a>" * 5_000, b"-1", b" ",
]  # fmt: skip

PLATFORMS = sorted(adapters())
SIGNING_A_TIME = [p for p in PLATFORMS if any(one.time for one in adapter_of(p).schemes)]
TELLING_OF_REWARDS = [p for p in PLATFORMS if adapters()[p].reports_rewards]
OF_ACTIONS = [p for p in PLATFORMS if p not in TELLING_OF_REWARDS]
CASES = [(platform, name) for platform in PLATFORMS for name in templates(platform)]
COVERED = [p for p in PLATFORMS if all(one.covers_body for one in adapter_of(p).schemes)]
HANDSHAKES = [(platform, name) for platform in PLATFORMS for name in handshakes(platform)]

# How many payloads are tried for each example of a platform.
PAYLOADS_TRIED = 20

ELSEWHERE = ("command.direct", "join.workspace")

tried = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
any_platform = pytest.mark.parametrize("platform", PLATFORMS)
any_example = pytest.mark.parametrize(("platform", "name"), CASES)


def sent(adapter: Adapter, template: Template, *, signer: Adapter | None = None) -> Callback:
    example = template.fill(actor=ACTOR, target=TARGET, key=KEY, now=NOW)
    return arrived((signer or adapter).sign(example, NOW))


def first_sent(platform: str) -> tuple[Adapter, Callback]:
    adapter = adapter_of(platform)
    return adapter, sent(adapter, next(iter(templates(platform).values())))


def deciding(adapter: Adapter, of: Callback) -> list[Place]:
    """The places of a callback that decide whether it is believed."""
    schemes = (scheme for scheme in adapter.schemes if scheme.proof.found(of))
    return [place for scheme in schemes for place in scheme.reads]


def with_text(of: Callback, place: Place, text: str | None) -> Callback:
    """The callback with another text in a place, or with none."""
    if isinstance(place, Field) and of.body.startswith(b"<"):
        return replace(of, body=with_element(of.body, place.name.rpartition(".")[2], text))
    if isinstance(place, Field):
        body = json.loads(of.body)
        body.pop(place.name) if text is None else body.update({place.name: text})
        return replace(of, body=json.dumps(body).encode())
    if isinstance(place, Query):
        rest = {key: value for key, value in of.query.items() if key != place.name}
        return replace(of, query=rest if text is None else {**rest, place.name: text})
    name = place.name.lower()
    rest = {key: value for key, value in of.headers.items() if key != name}
    if isinstance(place, Item):
        items = of.headers[name].split(",")
        kept = [item for item in items if not item.startswith(f"{place.item}=")]
        told = ",".join(kept if text is None else [*kept, f"{place.item}={text}"])
        return replace(of, headers={**rest, name: told})
    return replace(of, headers=rest if text is None else {**rest, name: text})


def with_element(body: bytes, name: str, text: str | None) -> bytes:
    """An XML body with another text in its element of that name, or without it."""
    told = "" if text is None else f"<{name}>{escape(text)}</{name}>"
    return re.sub(f"<{name}>.*</{name}>".encode(), lambda _: told.encode(), body)


@any_platform
def test_has_examples_a_source_for_them_and_tests_of_its_own(platform: str) -> None:
    module = adapters()[platform].__module__.rpartition(".")[2]
    needed = [EXAMPLES / platform / "source.toml", Path(__file__).parent / f"test_{module}.py"]

    missing = [str(path) for path in needed if not path.is_file()]

    assert not missing
    assert templates(platform), f"no example in {EXAMPLES / platform}"


def publishes_keys(platform: str) -> bool:
    """Whether its keys need not be configured, because they can be fetched."""
    return adapter_of(platform).keys_url is not None


def test_every_example_folder_belongs_to_an_adapter() -> None:
    folders = {folder.name for folder in EXAMPLES.iterdir()}

    assert folders == set(PLATFORMS)


@any_platform
def test_says_where_it_is_documented_and_what_it_answers(platform: str) -> None:
    adapter = adapters()[platform]

    assert adapter.docs.startswith("https://")
    assert all(terms.source.startswith("https://") and terms.text for terms in adapter.terms)
    assert adapter.forged_status in (200, 202, 204, 401, 403)
    assert adapter.malformed_status in (200, 202, 204, 400)
    assert 200 <= adapter.accepted.status < 300
    assert 1 <= adapter.deadline_seconds <= 30


@any_platform
def test_the_configuration_wants_a_secret(platform: str) -> None:
    source = example_source(platform)
    config = adapters()[platform].config

    for secrets in ([""], ["  "], *([[]] if not publishes_keys(platform) else [])):
        with pytest.raises(ValueError, match="secret"):
            config.model_validate({**source, "secrets": secrets})


@any_platform
def test_bytes_that_are_no_text_are_no_secret(platform: str) -> None:
    """An environment variable may hold any; found out at a callback, it would cost every one."""
    source = {**example_source(platform), "secrets": ["long-enough-\udcff\udcfe-for-everybody"]}

    with pytest.raises(ValueError, match="secret"):
        adapters()[platform].config.model_validate(source)


@any_platform
def test_the_configuration_never_repeats_a_secret_in_a_complaint(platform: str) -> None:
    source = {**example_source(platform), "nonsense": True, "tolerance_seconds": -1}

    with pytest.raises(ValueError, match="nonsense") as complaint:
        adapters()[platform].config.model_validate(source)

    assert not [secret for secret in source["secrets"] if secret in str(complaint.value)]


@any_example
def test_an_example_is_believed_and_read_as_it_says(platform: str, name: str) -> None:
    adapter, template = adapter_of(platform), templates(platform)[name]
    believed = sent(adapter, template)

    adapter.verify(believed)
    events = adapter.read(believed).events

    expected = template.expected(actor=ACTOR, target=TARGET, key=KEY, now=NOW)
    shown = [
        {field: getattr(event, field) for field in want}
        for event, want in zip(events, expected, strict=True)
    ]
    assert shown == expected
    for event in events:
        assert event.source == adapter.source.name
        assert event.platform == platform
        assert event.occurred_at == event.received_at == NOW
        assert ACTOR.encode() in event.payload
        assert_sound(event)


@any_example
def test_an_example_nudges_as_it_says(platform: str, name: str) -> None:
    adapter, template = adapter_of(platform), templates(platform)[name]

    nudges = adapter.read(sent(adapter, template)).nudges

    expected = template.expected_nudges(actor=ACTOR, now=NOW)
    shown = [
        {field: getattr(nudge, field) for field in want}
        for nudge, want in zip(nudges, expected, strict=True)
    ]
    assert shown == expected
    assert bool(nudges) is adapter.reports_rewards


@pytest.mark.parametrize("platform", TELLING_OF_REWARDS)
def test_what_tells_of_rewards_is_no_action(platform: str) -> None:
    """No attempt is made of it, and so no rule can be about it."""
    adapter = adapter_of(platform)

    readings = [adapter.read(sent(adapter, one)) for one in templates(platform).values()]

    assert not any(reading.events for reading in readings)


@pytest.mark.parametrize(
    ("platform", "name"), [(p, n) for p, n in CASES if templates(p)[n].stands_for]
)
def test_an_example_can_be_addressed_to_a_source_with_other_ids(platform: str, name: str) -> None:
    config = adapters()[platform].config.model_fields
    stands_for = templates(platform)[name].stands_for
    others = {key: word[0] + word[:0:-1] for key, word in stands_for.items()}
    told = {key: [o] if config[key].annotation is not str else o for key, o in others.items()}
    adapter = adapter_of(platform, **told)
    template = templates(platform)[name].addressed(adapter.source)

    believed = sent(adapter, template)

    adapter.verify(believed)
    events = adapter.read(believed).events
    # What happened elsewhere, as in a direct message, is of no source that names places.
    expected = template.expected(actor=ACTOR, target=TARGET, key=KEY, now=NOW) if events else []
    assert [event.target for event in events] == [want["target"] for want in expected]
    assert events or name in ELSEWHERE


@any_platform
def test_an_example_says_where_its_shape_was_seen(platform: str) -> None:
    for name, template in templates(platform).items():
        assert template.seen_at.startswith("https://"), name


@any_platform
def test_the_same_callback_again_is_the_same_event(platform: str) -> None:
    adapter = adapter_of(platform)
    for name, template in templates(platform).items():
        first = sent(adapter, template)
        again = replace(first, received_at=NOW + timedelta(seconds=60))

        keys = [[event.key for event in adapter.read(one).events] for one in (first, again)]

        assert keys[0] == keys[1], name


@any_platform
def test_an_action_and_its_undoing_have_different_keys(platform: str) -> None:
    adapter = adapter_of(platform)
    events = [
        event
        for template in templates(platform).values()
        for event in adapter.read(sent(adapter, template)).events
    ]

    done = {event.key for event in events if not event.undone}
    undone = {event.key for event in events if event.undone}

    # Where the platform numbers its callbacks, that number is the key; here all have the same.
    assert not (done & undone) - {KEY}


@pytest.mark.parametrize("platform", OF_ACTIONS)
def test_its_accounts_can_be_given_a_word_of_their_own(platform: str) -> None:
    adapter = adapter_of(platform, accounts="elsewhere")
    template = next(iter(templates(platform).values()))

    events = adapter.read(sent(adapter, template)).events

    assert {event.platform for event in events} == {"elsewhere"}


@any_platform
def test_every_secret_of_a_rotation_is_believed_and_no_other(platform: str) -> None:
    new, old = example_source(platform)["secrets"]
    template = next(iter(templates(platform).values()))
    during, after = adapter_of(platform), adapter_of(platform, secrets=[new])

    by_old = sent(during, template, signer=adapter_of(platform, secrets=[old, new]))

    during.verify(by_old)
    during.verify(sent(during, template))
    with pytest.raises(Forged):
        after.verify(by_old)


@any_platform
def test_junk_in_a_place_that_decides_is_forged(platform: str) -> None:
    adapter, honest = first_sent(platform)

    for place, junk in product(deciding(adapter, honest), JUNK):
        with pytest.raises(Forged):
            adapter.verify(with_text(honest, place, junk))


@any_platform
def test_nothing_in_a_place_that_decides_is_forged(platform: str) -> None:
    adapter, honest = first_sent(platform)

    for place in deciding(adapter, honest):
        with pytest.raises(Forged):
            adapter.verify(with_text(honest, place, None))


@any_platform
def test_what_a_stranger_signs_is_forged(platform: str) -> None:
    adapter = adapter_of(platform)
    template = next(iter(templates(platform).values()))
    example = template.fill(actor=ACTOR, target=TARGET, key=KEY, now=NOW)

    with pytest.raises(Forged):
        adapter.verify(arrived(adapter.forge(example, NOW)))


@any_platform
def test_without_an_example_key_of_a_pair_nothing_can_be_signed(platform: str) -> None:
    adapter, example = adapter_of(platform), next(iter(templates(platform).values()))
    filled = example.fill(actor=ACTOR, target=TARGET, key=KEY, now=NOW)
    pairs = [scheme for scheme in adapter.schemes if isinstance(scheme, PairScheme)]

    for scheme in pairs:
        foreign = scheme.stranger()
        assert not any(scheme.fits(foreign, public) for public in adapter.source.keys_of())
    assert bool(signing_keys(platform)) == bool(pairs)
    assert adapter.sign(filled, NOW).headers


def greeted(adapter: Adapter, request: Callback) -> Reply | None:
    """The answer to a handshake, whether it is one of the unsigned or of the signed."""
    reply = adapter.handshake(request)
    if reply is not None:
        return reply
    adapter.verify(request)
    reading = adapter.read(request)
    assert reading.handshake
    assert not reading.events
    return reading.reply or adapter.accepted


@pytest.mark.parametrize(("platform", "name"), HANDSHAKES)
def test_a_handshake_is_answered_as_the_platform_expects(platform: str, name: str) -> None:
    adapter, told = adapter_of(platform), handshakes(platform)[name]
    asked = adapter.sign(told.asked, NOW) if told.is_signed else told.asked
    request = arrived(asked, method=told.method)

    reply = greeted(adapter, request)

    assert reply is not None
    assert (reply.status, reply.body) == (told.reply.status, told.reply.body)
    assert not reply.body or reply.content_type == told.reply.content_type
    assert told.seen_at.startswith("https://")


@pytest.mark.parametrize(
    ("platform", "name"), [(p, n) for p, n in HANDSHAKES if handshakes(p)[n].is_signed]
)
def test_a_signed_handshake_by_a_stranger_is_no_handshake(platform: str, name: str) -> None:
    adapter, told = adapter_of(platform), handshakes(platform)[name]
    request = arrived(adapter.forge(told.asked, NOW), method=told.method)

    with pytest.raises(Forged):
        greeted(adapter, request)


@any_platform
def test_no_secret_of_the_source_or_the_platform_is_kept(platform: str) -> None:
    adapter = adapter_of(platform)
    secrets = example_source(platform).get("secrets", [])
    for name, template in templates(platform).items():
        for event in adapter.read(sent(adapter, template)).events:
            assert not [one for one in secrets if one.encode() in event.payload], name
            assert not set(adapter.secret_fields) & set(kept(event)), name


@pytest.mark.parametrize("platform", COVERED)
def test_a_body_changed_by_one_byte_is_forged(platform: str) -> None:
    adapter = adapter_of(platform)
    for template in templates(platform).values():
        honest = sent(adapter, template)
        places = range(0, len(honest.body), 1 + len(honest.body) // 20)
        changed = [
            honest.body[:at] + bytes([honest.body[at] ^ 1]) + honest.body[at + 1 :] for at in places
        ]

        for body in (*changed, honest.body + b" ", honest.body[:-1], b""):
            with pytest.raises(Forged):
                adapter.verify(replace(honest, body=body))


@pytest.mark.parametrize("platform", SIGNING_A_TIME)
def test_a_signed_time_is_believed_up_to_the_tolerance_both_ways(platform: str) -> None:
    adapter, honest = first_sent(platform)
    most = timedelta(seconds=adapter.tolerance)

    for received_at in (NOW - most, NOW + most):
        adapter.verify(replace(honest, received_at=received_at))
    for received_at in (NOW - most - timedelta(seconds=1), NOW + most + timedelta(seconds=1)):
        with pytest.raises(Forged):
            adapter.verify(replace(honest, received_at=received_at))


@any_platform
def test_a_source_may_set_the_tolerance(platform: str) -> None:
    assert adapter_of(platform, tolerance_seconds=7).tolerance == 7
    assert adapter_of(platform).tolerance == adapters()[platform].tolerance_seconds


@any_platform
def test_a_body_that_is_no_json_object_is_malformed(platform: str) -> None:
    adapter, honest = first_sent(platform)

    for body in NO_OBJECTS:
        with pytest.raises(Malformed):
            adapter.read(replace(honest, body=body))


class Watched(bytes):
    """A body that counts how often it is made a text, which is how parsing begins."""

    decoded = 0

    def decode(self, *args: Any, **kwargs: Any) -> str:
        self.decoded += 1
        return super().decode(*args, **kwargs)


PROOF_IN_BODY = [p for p in PLATFORMS if adapter_of(p).unproven_bytes is not None]


@pytest.mark.parametrize("platform", [p for p in PLATFORMS if p not in PROOF_IN_BODY])
def test_nothing_is_parsed_before_the_proof(platform: str) -> None:
    adapter = adapter_of(platform)
    template = next(iter(templates(platform).values()))
    example = template.fill(actor=ACTOR, target=TARGET, key=KEY, now=NOW)
    asked = [one.asked for one in handshakes(platform).values()]

    for forged in (adapter.forge(one, NOW) for one in (example, *asked)):
        body = Watched(forged.body)
        request = replace(arrived(forged), body=body)
        assert adapter.handshake(request) is None
        with pytest.raises(Forged):
            adapter.verify(request)
        assert body.decoded == 0, "it must say `unproven_bytes`, or prove before it parses"


@any_platform
def test_a_proof_in_the_body_has_a_limit(platform: str) -> None:
    adapter = adapter_of(platform)
    reads_body = any(isinstance(place, Field) for s in adapter.schemes for place in s.reads)

    assert not reads_body or adapter.unproven_bytes is not None
    assert adapter.most_bytes(4_194_304) == (adapter.unproven_bytes or 4_194_304)
    assert (adapter.unproven_bytes or 0) <= 262_144


@any_platform
def test_a_body_is_parsed_once(platform: str) -> None:
    adapter = adapter_of(platform)
    for name, template in templates(platform).items():
        honest = sent(adapter, template)
        body = Watched(honest.body)
        request = replace(honest, body=body)

        adapter.handshake(request)
        adapter.verify(request)
        adapter.read(request)

        assert body.decoded == 1, name


@pytest.mark.parametrize("platform", PROOF_IN_BODY)
@pytest.mark.parametrize("part", [b"[],", b"{", b"<a/>", b'"a",'])
def test_many_parts_are_refused_before_they_are_parsed(platform: str, part: bytes) -> None:
    adapter, honest = first_sent(platform)
    body = Watched(part * (MOST_UNPROVEN_PARTS + 1))
    roomy = adapter_of(platform, max_bytes=len(body))

    for one, of_any in ((adapter, 4_194_304), (roomy, 4_194_304)):
        with pytest.raises(TooLarge):
            one.check_size(replace(honest, body=body), of_any)
    adapter.check_size(honest, 4_194_304)
    assert body.decoded == 0


@any_platform
def test_a_body_is_taken_up_to_what_the_source_says(platform: str) -> None:
    adapter, honest = adapter_of(platform, max_bytes=2_000), first_sent(platform)[1]

    adapter.check_size(replace(honest, body=b"x" * 2_000), 4_194_304)
    for size, of_any in ((2_001, 4_194_304), (1_501, 1_500)):
        with pytest.raises(TooLarge):
            adapter.check_size(replace(honest, body=b"x" * size), of_any)


@any_platform
def test_arbitrary_requests_are_refused_and_never_fail(platform: str) -> None:
    adapter, honest = first_sent(platform)
    names = st.sampled_from([*honest.headers, "x-other"])
    covers = all(scheme.covers_body for scheme in adapter.schemes)
    known = [*honest.headers.values()] if covers else []
    headers = st.dictionaries(names, st.text() | st.sampled_from([*known, *JUNK]))
    queries = st.sampled_from([*QUERIES, *honest.query])
    requests = st.builds(
        Callback,
        method=st.sampled_from(["GET", "POST", "HEAD", ""]),
        headers=headers,
        query=st.dictionaries(queries, st.text() | st.sampled_from(["subscribe", *JUNK])),
        # Where the secret itself stands in the body, whoever has that body has the secret.
        body=st.binary() | st.just(honest.body + b"\n" if covers else b"{}"),
        received_at=st.datetimes(timezones=st.just(UTC)),
    )

    @tried
    @given(requests)
    def refused(request: Callback) -> None:
        try:
            reply = adapter.handshake(request)
        except Refusal:
            reply = None
        assert reply is None or isinstance(reply, Reply)
        with pytest.raises(Forged):
            adapter.verify(request)

    refused()


@any_platform
def test_whatever_stands_in_a_payload_its_events_are_sound(platform: str) -> None:
    """Tried as often for each example, however many a platform has."""
    adapter = adapter_of(platform)
    bodies = [sent(adapter, template) for template in templates(platform).values()]

    @settings(tried, max_examples=PAYLOADS_TRIED * len(bodies))
    @given(st.sampled_from(bodies), st.data())
    def sound(honest: Callback, data: st.DataObject) -> None:
        changed = changed_json if is_json(honest.body) else changed_text
        read_soundly(adapter, replace(honest, body=changed(data, honest.body)))

    sound()


def deepest_json() -> int:
    """How deep a JSON array may be for the parser, where the stack is as deep as here."""

    def is_too_deep(depth: int) -> bool:
        try:
            json.loads("[" * depth + "]" * depth)
        except RecursionError:
            return True
        return False

    depths = range(300, 3_000)
    assert is_too_deep(depths[-1]), "the parser has no limit"
    return depths[bisect_left(depths, True, key=is_too_deep)] - 1


def is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def changed_json(data: st.DataObject, body: bytes) -> bytes:
    changed = json.loads(body)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from([*places(changed)] or [("other",)]))
        changed = put(changed, place, data.draw(ANYTHING))
    return json.dumps(changed).encode()


def changed_text(data: st.DataObject, body: bytes) -> bytes:
    """What is neither read nor written as JSON: XML and forms, with something cut out or put in."""
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, min(len(body), start + 80)))
    return body[:start] + data.draw(st.sampled_from(SCRAPS) | st.binary(max_size=9)) + body[end:]


@any_platform
def test_no_nesting_is_too_deep(platform: str) -> None:
    """In each place; in one that several examples have, in the first of them."""
    adapter, limit = adapter_of(platform), deepest_json()
    found: set[tuple[Any, ...]] = set()
    for template in templates(platform).values():
        if not isinstance(template.body, str):
            honest = sent(adapter, template)
            new = [place for place in places(json.loads(honest.body)) if place not in found]
            for place in new:
                read_deeply(adapter, honest, place, limit)
            found.update(new)


def read_deeply(adapter: Adapter, honest: Callback, place: tuple[Any, ...], limit: int) -> None:
    """With so many arrays in a place that they can just be parsed, and just not."""
    mark = "deep deep down"
    marked = json.dumps(put(json.loads(honest.body), place, mark))
    # What is just not too deep to be parsed may be too deep for what is done with it.
    for depth in (100, *range(limit - 20, limit + 5, 4), 3_000):
        deep = marked.replace(json.dumps(mark), "[" * depth + "]" * depth)
        read_soundly(adapter, replace(honest, body=deep.encode()))


@any_platform
def test_reading_needs_no_header_and_no_query_to_be_safe(platform: str) -> None:
    adapter, honest = first_sent(platform)

    read_soundly(adapter, replace(honest, headers={}, query={}))


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([*JUNK[:-1], "\ud800", "a" * 256, 10**40, -1, 2**63, "9" * 30, 1e308])
    | st.sampled_from(
        ["add", "remove", "page", "instagram", "follow", "9999-12-31T23:59:59-23:59"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to everything inside a JSON value."""
    if not isinstance(value, dict | list):
        return
    for name, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, name)
        yield from places(item, (*path, name))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    holder = value
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = new
    return value


def read_soundly(adapter: Adapter, of: Callback) -> None:
    try:
        result = adapter.read(of)
    except Malformed:
        return
    for event in result.events:
        assert_sound(event)
    for nudge in result.nudges:
        assert 0 < len(nudge.customer_id) <= 100
        assert is_written(nudge.customer_id)
        assert nudge.challenge_id is None or 1 <= nudge.challenge_id <= 2**31 - 1


def assert_sound(event: Event) -> None:
    names_its_action = event.undoes is not None or event.thing is not None
    assert event.actor is not None or (event.undone and names_its_action)
    texts = [event.source, event.key, event.platform, event.action]
    texts += [*event.aliases, *event.target_aliases, *event.former_keys]
    maybe = (event.actor, event.target, event.actor_handle, event.thing, event.undoes)
    texts += [text for text in maybe if text is not None]
    for text in texts:
        assert 0 < len(text) <= 255
        assert is_written(text)
    for moment in (event.occurred_at, event.received_at):
        assert moment.utcoffset() == timedelta(0)
        assert datetime(2005, 1, 1, tzinfo=UTC) <= moment <= datetime(2100, 1, 1, tzinfo=UTC)
    kept(event)


def kept(event: Event) -> dict[str, Any]:
    """What was kept of the platform's own words, parsed, however deep our own stack is."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(2 * limit)
    try:
        is_xml = event.payload.startswith(b"<")
        said: dict[str, Any] = xml_object(event.payload) if is_xml else json.loads(event.payload)
    finally:
        sys.setrecursionlimit(limit)
    return said


@any_platform
def test_the_secret_that_proves_a_callback_is_named(platform: str) -> None:
    adapter = adapter_of(platform)
    template = next(iter(templates(platform).values()))

    for one, signer in adapter._alone:
        try:
            callback = sent(adapter, template, signer=signer)
        except CannotSign:
            continue
        assert adapter.fitting_secret(callback) == one


def test_a_secret_is_not_shown_where_its_place_is() -> None:
    assert "example" not in repr(adapter_of("twitch").secrets)
