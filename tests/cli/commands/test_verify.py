"""`vouch verify` says what the service would say, and why."""

import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from app.cli.commands.verify import tell
from app.cli.verdicts import Verdict
from app.domain.clock import utc_now
from app.platforms import adapters
from app.platforms.kit.callback import Example, Reading, Refusal
from app.platforms.kit.encodings import b64
from app.platforms.kit.examples import example_source, templates
from app.platforms.kit.places import Header
from tests.cli.conftest import (
    PLATFORMS,
    Vouch,
    adapter_of,
    any_platform,
    example_options,
    header_options,
    query_options,
    signed_example,
)
from tests.platforms.callbacks import adapter_of as configured
from tests.platforms.callbacks import callback
from tests.platforms.test_pairs import public_half

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "platforms" / "vectors.json").read_text("utf-8")
)
SIGNATURES = [vector for vector in VECTORS if "valid" in vector]
HANDSHAKES = [vector for vector in VECTORS if "reply" in vector]


def signs_any_body(platform: str) -> bool:
    """Whether the proof needs nothing that stands in the body."""
    try:
        adapter_of(platform).sign(Example(b"[]"), utc_now())
    except Refusal:
        return False
    return True


TIMED = [name for name in PLATFORMS if any(s.time for s in adapter_of(name).schemes)]
COVERING = [name for name in PLATFORMS if all(s.covers_body for s in adapter_of(name).schemes)]
# Of these the signature covers nothing but the body.
UNTIMED = [name for name in COVERING if name not in TIMED]
# Of these the proof stands in a header.
WRITING_JSON = [name for name in COVERING if signed_example(name).body.startswith(b"{")]
ANY_BODY = [name for name in PLATFORMS if signs_any_body(name)]
BY_HEADER = [name for name in PLATFORMS if isinstance(adapter_of(name).schemes[-1].proof, Header)]

EVENT_MEMBERS = {
    "key",
    "platform",
    "action",
    "undone",
    "actor",
    "actorHandle",
    "target",
    "occurredAt",
}


def name(vector: dict[str, Any]) -> str:
    return f"{vector['adapter']}-{vector['id']}"


def options(vector: dict[str, Any]) -> list[str]:
    """What a person types for a published vector: `--secret` for most, `--set` for the rest."""
    told = header_options(vector.get("headers", {}))
    for key, value in vector["options"].items():
        for one in value if isinstance(value, list) else [value]:
            told += ["--secret", one] if key == "secrets" else ["--set", f"{key}={one}"]
    for key, value in vector.get("query", {}).items():
        told += ["--query", f"{key}={value}"]
    return [*told, *signed_time(vector)]


def signed_time(vector: dict[str, Any]) -> list[str]:
    headers = {key.lower(): value for key, value in vector.get("headers", {}).items()}
    sent = callback(vector.get("body", "").encode(), headers, query=vector.get("query", {}))
    schemes = (
        configured(vector["adapter"], **vector["options"]).schemes if "valid" in vector else ()
    )
    times = [s.time.parse(sent) for s in schemes if s.time]
    return [part for at in times for part in ("--at", at.isoformat())]


def verify(run: Vouch, platform: str, sent: Example, *more: str) -> Result:
    """Ask about a callback as somebody who has the example source's secrets."""
    asked = [*example_options(platform), *header_options(sent.headers), *query_options(sent.query)]
    return run("verify", platform, *asked, "--body-file", "-", *more, stdin=sent.body)


def others(platform: str) -> list[str]:
    """The example source's other keys, as options."""
    asked = example_options(platform)
    return [part for i, part in enumerate(asked) if "--set" in asked[max(0, i - 1) : i + 1]]


def indented(body: bytes) -> bytes:
    return json.dumps(json.loads(body), indent=1).encode()


def one_line(result: Result) -> str:
    """What it said, however it was wrapped."""
    return " ".join(result.stdout.split())


@pytest.mark.parametrize("vector", SIGNATURES, ids=name)
def test_a_published_signature_gets_its_published_verdict(
    run: Vouch, vector: dict[str, Any]
) -> None:
    body = vector["body"].encode()

    result = run(
        "verify", vector["adapter"], *options(vector), "--body-file", "-", "--json", stdin=body
    )

    verdict = json.loads(result.stdout)
    assert verdict["valid"] is vector["valid"]
    assert result.exit_code == (0 if vector["valid"] else 1)


@pytest.mark.parametrize("vector", HANDSHAKES, ids=name)
def test_a_published_handshake_is_answered_as_published(run: Vouch, vector: dict[str, Any]) -> None:
    result = run("verify", vector["adapter"], *options(vector), "--json")

    verdict = json.loads(result.stdout)
    assert result.exit_code == 0
    assert verdict["handshake"] is True
    assert json.loads(verdict["answer"]["body"]) == json.loads(vector["reply"])


@any_platform
def test_a_valid_callback_is_told_with_its_events(
    run: Vouch, platform: str, tmp_path: Path
) -> None:
    sent = signed_example(platform)
    path = tmp_path / "body"
    path.write_bytes(sent.body)

    asked = [*example_options(platform), *header_options(sent.headers), *query_options(sent.query)]
    result = run("verify", platform, *asked, "--body-file", str(path))

    event = next(iter(templates(platform).values())).expect[0]
    assert result.exit_code == 0
    assert result.stdout.startswith(f"valid: {platform} signed this\n")
    assert f"event     {event['action']}" in result.stdout
    assert "by 41" in result.stdout
    assert f"answer    {adapters()[platform].accepted.status}" in result.stdout


@any_platform
def test_the_json_has_the_events_in_full(run: Vouch, platform: str) -> None:
    sent = signed_example(platform)

    verdict = json.loads(verify(run, platform, sent, "--json").stdout)

    event = next(iter(templates(platform).values())).expect[0]
    assert verdict["platform"] == platform
    assert verdict["malformed"] is None
    assert [e["action"] for e in verdict["events"]] == [event["action"]]
    assert set(verdict["events"][0]) == EVENT_MEMBERS


@pytest.mark.parametrize("platform", COVERING)
@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (lambda body: body + b"\n", "ends with a newline that was not signed"),
        (lambda body: body + b"\r\n", "ends with a newline that was not signed"),
        (lambda body: b"\xef\xbb\xbf" + body, "begins with a byte order mark"),
        (lambda body: body.replace(b"41", b"99"), "no white space, quotation mark or newline"),
    ],
)
def test_a_changed_body_is_refused_and_the_change_is_found(
    run: Vouch, platform: str, change: Any, hint: str
) -> None:
    sent = signed_example(platform)
    result = verify(run, platform, replace(sent, body=change(sent.body)))

    assert result.exit_code == 1
    assert result.stdout.startswith("not valid: ")
    assert hint in one_line(result)


@pytest.mark.parametrize("platform", WRITING_JSON)
def test_a_body_that_was_written_again_is_refused_and_found(run: Vouch, platform: str) -> None:
    sent = signed_example(platform)

    result = verify(run, platform, replace(sent, body=indented(sent.body)))

    assert result.exit_code == 1
    assert "parsed and written again" in one_line(result)


@pytest.mark.parametrize("platform", UNTIMED)
def test_a_newline_that_the_file_lost_is_found(run: Vouch, platform: str) -> None:
    adapter = adapter_of(platform)
    now = utc_now()
    example = next(iter(templates(platform).values())).fill(actor="1", target="2", key="3", now=now)
    signed = adapter.sign(replace(example, body=example.body + b"\n"), now)

    result = verify(run, platform, replace(signed, body=example.body))

    assert "lacks a newline at its end" in one_line(result)


@pytest.mark.parametrize(
    ("wrapped", "hint"),
    [(" {} ", "white space around it"), ('"{}"', "quotation marks around it")],
)
def test_what_is_around_a_secret_is_found(run: Vouch, wrapped: str, hint: str) -> None:
    for platform in UNTIMED:
        sent = signed_example(platform)
        secret = example_source(platform)["secrets"][0]

        asked = ["--secret", wrapped.format(secret), *header_options(sent.headers)]
        result = run("verify", platform, *asked, *others(platform), "--body-file", "-",
                     stdin=sent.body)  # fmt: skip

        assert result.exit_code == 1
        assert f"the secret has {hint}" in one_line(result)


@pytest.mark.parametrize("platform", UNTIMED)
def test_quotation_marks_around_a_header_are_found(run: Vouch, platform: str) -> None:
    sent = signed_example(platform)
    quoted = {key: f'"{value}"' for key, value in sent.headers.items()}

    result = verify(run, platform, replace(sent, headers=quoted))

    assert "a header's value has quotation marks" in one_line(result)


@pytest.mark.parametrize("platform", TIMED)
def test_an_old_signature_says_how_old_and_what_to_add(run: Vouch, platform: str) -> None:
    then = datetime(2021, 2, 25, 15, 2, 10, tzinfo=UTC)
    sent = signed_example(platform, then)

    result = verify(run, platform, sent)

    assert result.exit_code == 1
    assert "years ago" in one_line(result)
    assert "add --at 2021-02-25T15:02:10.000Z" in one_line(result)
    assert verify(run, platform, sent, "--at", "2021-02-25T15:02:10Z").exit_code == 0


@pytest.mark.parametrize("platform", TIMED)
def test_a_signature_from_the_future_is_told_as_one(run: Vouch, platform: str) -> None:
    sent = signed_example(platform, utc_now() + timedelta(hours=2, minutes=1))

    result = verify(run, platform, sent)

    assert "signed 2 hours ahead of that clock" in one_line(result)


PARTNER = (
    *("--set", "header=X-Sig", "--set", "prefix=sha256=", "--set", "action=a"),
    *("--set", "actor=b", "--set", "actions=followed=follow"),
)
TIMED_PARTNER = (*PARTNER, "--set", "signed={timestamp}.{body}", "--set", "timestamp=header:X-At")
PARTNERS_SECRET, PARTNERS_BODY = "cGFydG5lcnMgc2VjcmV0", b'{"a": "followed", "b": "ann"}'


def ask(run: Vouch, proof: str, *more: str, body: bytes = PARTNERS_BODY) -> Result:
    asked = ["--secret", PARTNERS_SECRET, "--header", f"X-Sig: {proof}", "--body-file", "-"]
    return run("verify", "hmac", *asked, *(more or PARTNER), stdin=body)


def proof_of(body: bytes, digest: str = "sha256", key: bytes = PARTNERS_SECRET.encode()) -> bytes:
    return hmac.digest(key, body, digest)


@pytest.mark.parametrize(
    ("proof", "hint"),
    [
        ("sha1=" + proof_of(PARTNERS_BODY, "sha1").hex(), "made with sha1, written in hex, behind"),
        (proof_of(PARTNERS_BODY).hex(), "without a prefix"),
        ("v1=" + proof_of(PARTNERS_BODY).hex(), "behind 'v1='"),
        ("sha256=" + b64(proof_of(PARTNERS_BODY)), "written in base64"),
        ("sha256=" + proof_of(PARTNERS_BODY, "sha512").hex(), "made with sha512"),
        ("sha256=" + proof_of(PARTNERS_BODY, key=b"partners secret").hex(), "read as base64"),
    ],
)
def test_a_signature_that_is_written_otherwise_is_told(run: Vouch, proof: str, hint: str) -> None:
    result = ask(run, proof)

    assert result.exit_code == 1
    assert hint in one_line(result)
    assert "the secret is another one" not in one_line(result)


@pytest.mark.parametrize(
    ("proof", "reason"),
    [
        ("md5=" + "0" * 32, "does not begin with sha256="),
        ("sha256=" + "0" * 32, "has 16 bytes, but sha256 makes 32"),
        ("sha256=<signature>", "is not hex"),
        ("", "is missing or empty"),
    ],
)
def test_the_secret_is_not_blamed_for_what_no_secret_makes(
    run: Vouch, proof: str, reason: str
) -> None:
    result = ask(run, proof)

    assert result.exit_code == 1
    assert reason in one_line(result)
    assert "the secret is another one" not in one_line(result)


@pytest.mark.parametrize(
    ("at", "reason", "hint"),
    [
        ("1764590400000", "is out of range", "is written as unix_ms, and unix is expected"),
        ("2025-12-01T12:00:00Z", "is not a number", "is written as iso, and unix is expected"),
        ("0", "is out of range", ""),
        ("99999999999", "is out of range", ""),
        ("01764590400", "begins with a zero", ""),
    ],
)
def test_the_secret_is_not_blamed_for_a_time(run: Vouch, at: str, reason: str, hint: str) -> None:
    proof = proof_of(at.encode() + b"." + PARTNERS_BODY).hex()

    result = ask(run, f"sha256={proof}", "--header", f"X-At: {at}", *TIMED_PARTNER)

    assert result.exit_code == 1
    assert reason in one_line(result)
    assert hint in one_line(result)
    assert "the secret is another one" not in one_line(result)


@pytest.mark.parametrize("indent", [1, 2, 4])
def test_a_body_that_was_made_pretty_or_compact_is_told(run: Vouch, indent: int) -> None:
    pretty = json.dumps(json.loads(PARTNERS_BODY), indent=indent).encode()
    proof = f"sha256={proof_of(PARTNERS_BODY).hex()}"

    assert "was parsed and written again" in one_line(ask(run, proof, body=pretty))


def test_a_compact_body_of_a_pretty_one_is_told(run: Vouch) -> None:
    pretty = json.dumps(json.loads(PARTNERS_BODY), indent=2).encode()

    result = ask(run, f"sha256={proof_of(pretty).hex()}")

    assert "was parsed and written again" in one_line(result)


def test_an_item_of_another_name_is_told(run: Vouch) -> None:
    result = ask(run, "t=1,v0=00", *PARTNER, "--set", "item=v1")

    assert "has the items t, v0; none is called v1" in one_line(result)
    assert "the secret is another one" not in one_line(result)


def test_only_a_signature_of_the_right_form_speaks_against_the_secret(run: Vouch) -> None:
    result = ask(run, "sha256=" + "0" * 64)

    assert "the secret is another one" in one_line(result)


@pytest.mark.parametrize("platform", BY_HEADER)
def test_a_missing_header_is_named(run: Vouch, platform: str) -> None:
    sent = signed_example(platform)

    result = verify(run, platform, replace(sent, headers={}))

    assert result.exit_code == 1
    assert result.stdout.startswith("not valid: the header ")
    assert "is missing" in result.stdout
    assert adapters()[platform].docs in result.stdout


@pytest.mark.parametrize("platform", BY_HEADER)
def test_a_misspelt_header_is_found(run: Vouch, platform: str) -> None:
    sent = signed_example(platform)
    signature = adapter_of(platform).schemes[-1].proof.name
    misspelt = {key: v for key, v in sent.headers.items() if key != signature.lower()}
    misspelt[f"{signature.lower()}s"] = "x"

    result = verify(run, platform, replace(sent, headers=misspelt))

    assert f"is {signature} meant?" in one_line(result)


@pytest.mark.parametrize("platform", ANY_BODY)
def test_a_believed_body_that_cannot_be_read_is_valid_and_says_so(
    run: Vouch, platform: str
) -> None:
    adapter, now = adapter_of(platform), utc_now()
    template = next(iter(templates(platform).values()))
    example = template.fill(actor="1", target="2", key="3", now=now)
    signed = adapter.sign(replace(example, body=b"[]"), now)

    result = verify(run, platform, signed)

    assert result.exit_code == 0
    assert f"it cannot be read, and is answered {adapter.malformed_status}: " in one_line(result)
    told = json.loads(verify(run, platform, signed, "--json").stdout)
    assert told["valid"] is True
    assert told["malformed"]


@any_platform
def test_a_secret_is_never_printed(run: Vouch, platform: str) -> None:
    sent = signed_example(platform)
    secret = "a-secret-nobody-may-read"
    proof = adapter_of(platform).schemes[-1].proof
    rest = {name: value for name, value in sent.headers.items() if name != proof.name.lower()}
    wrong = proof.write(replace(sent, headers=rest), "x")
    for more in ((), ("--json",)):
        result = verify(run, platform, wrong, "--secret", secret, *more)

        told = result.stdout + result.stderr
        assert result.exit_code in (1, 2)
        assert secret not in told
        assert all(one not in told for one in example_source(platform)["secrets"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "give --secret S"),
        (("--set", "nonsense"), "write --set KEY=VALUE"),
        (("--set", "nonsense=1"), "--set nonsense: there are secrets"),
        (("--set", "name=1"), "--set name: there are secrets"),
        (("--set", "tolerance_seconds=1", "--set", "tolerance_seconds=2"), "more than once"),
        (("--at", "soon"), "write ISO 8601"),
        (("--set", "tolerance_seconds=-1", "--method", "GET"), "tolerance_seconds: "),
    ],
)
def test_what_is_asked_wrongly_is_a_usage_error(
    run: Vouch, arguments: tuple[str, ...], told: str
) -> None:
    result = run("verify", PLATFORMS[0], *arguments)

    assert result.exit_code == 2
    assert told in result.stderr


@any_platform
def test_a_post_needs_its_body(run: Vouch, platform: str) -> None:
    result = run("verify", platform, *example_options(platform), "--method", "POST")

    assert result.exit_code == 2
    assert "--body-file F" in result.stderr


@any_platform
def test_a_post_is_never_judged_by_the_examples_own_secret(run: Vouch, platform: str) -> None:
    sent = signed_example(platform)

    asked = ["--set", "tolerance_seconds=60", *header_options(sent.headers), "--body-file", "-"]
    result = run("verify", platform, *asked, stdin=sent.body)

    assert result.exit_code == 2


def test_an_unknown_platform_is_a_usage_error(run: Vouch) -> None:
    result = run("verify", "nowhere")

    assert result.exit_code == 2
    assert all(platform in result.stderr for platform in PLATFORMS)


@any_platform
def test_a_get_that_is_no_handshake_is_not_valid(run: Vouch, platform: str) -> None:
    result = run("verify", platform, *example_options(platform), "--method", "get")

    assert result.exit_code == 1
    assert result.stdout.startswith("not valid: ")


def test_what_was_left_out_and_what_the_platform_notes_are_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reading = Reading(ignored=("a gift earns nothing",), notice="the subscription was revoked")

    tell(adapter_of(PLATFORMS[0]), Verdict(reading=reading), [])

    told = capsys.readouterr().out
    assert "ignored   a gift earns nothing" in told
    assert "notice    the subscription was revoked" in told


def needs(platform: str) -> list[str]:
    """What a source of the platform needs beside its secrets."""
    fields = adapters()[platform].config.model_fields
    plain = ("name", "platform", "secrets")
    return [key for key, field in fields.items() if field.is_required() and key not in plain]


@pytest.mark.parametrize("platform", [name for name in PLATFORMS if needs(name)])
def test_a_handshake_refused_for_want_of_a_key_names_the_key(run: Vouch, platform: str) -> None:
    secret = example_source(platform)["secrets"][0]

    result = run("verify", platform, "--secret", secret, "--method", "GET")

    assert result.exit_code == 1
    assert f"{needs(platform)[0]} was not given" in one_line(result)


def test_a_header_without_a_name_is_a_usage_error(run: Vouch) -> None:
    for wrong in ("nonsense", ": x"):
        asked = [*example_options(PLATFORMS[0]), "--header", wrong, "--body-file", "-"]
        result = run("verify", PLATFORMS[0], *asked, stdin=b"")

        assert result.exit_code == 2
        assert "'Name: value'" in result.stderr


@any_platform
def test_a_header_of_strange_characters_is_refused_in_peace(run: Vouch, platform: str) -> None:
    sent = signed_example(platform)
    for name in sent.headers:
        strange = {**sent.headers, name: "ünïcödé ✓"}
        result = verify(run, platform, replace(sent, headers=strange))

        assert result.exit_code in (0, 1)
        assert "Traceback" not in result.output


PUBLISHING = [name for name in PLATFORMS if adapter_of(name).keys_url is not None]


@pytest.mark.parametrize("platform", PUBLISHING)
def test_keys_that_a_platform_publishes_are_asked_for_only_when_told_to(
    run: Vouch, platform: str
) -> None:
    sent = signed_example(platform)
    asked = [*others(platform), "--set", "key_url=http://127.0.0.1:9/", "--body-file", "-"]
    headers = header_options(sent.headers)

    offline = run("verify", platform, *asked, *headers, stdin=sent.body)
    online = run("verify", platform, *asked, *headers, "--fetch-keys", stdin=sent.body)

    assert offline.exit_code == online.exit_code == 2
    assert "give --secret S, or --fetch-keys" in offline.stderr
    assert "127.0.0.1:9/ has not answered" in " ".join(online.stderr.split())


@pytest.mark.parametrize("platform", PUBLISHING)
def test_a_callback_that_a_published_key_did_not_sign_is_refused_in_peace(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    adapter, sent = adapter_of(platform), signed_example(platform)
    scheme = adapter.schemes[0]
    key: Any = public_half(scheme.stranger()).decode()
    for step in reversed(adapter.key_path.split(".")):
        key = {step: key}
    fetched: list[bool] = []

    def fetch(_: str, *, refresh: bool = False) -> bytes:
        fetched.append(refresh)
        return json.dumps(key).encode()

    monkeypatch.setattr("app.cli.commands.verify.fetched_now", fetch)
    asked = [*others(platform), *header_options(sent.headers), "--fetch-keys", "--body-file", "-"]

    result = run("verify", platform, *asked, stdin=sent.body)

    assert result.exit_code == 1
    assert "does not match the body under any configured secret" in one_line(result)
    assert fetched == [False, True]
