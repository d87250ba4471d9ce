"""Does anything that we plant about a person, or a secret, turn up where it should not?"""

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, select, text
from werkzeug.test import TestResponse

from app import logs
from app.domain.attempts import State
from app.platforms.kit.examples import templates
from app.sandbox.calls import SOCIAL_CHALLENGES
from app.sandbox.faults import Fault
from app.sandbox.server import SandboxServer
from app.sandbox.settings import Campaign, SandboxSettings
from app.service import Service, build_service
from app.settings.environment import read_environment
from app.steps import bulk
from app.steps.history import Filter
from app.steps.keys import Role
from app.steps.operator_actions import OperatorAction
from app.storage.tables import AttemptRow, Base, GrantRow
from app.worker.build import build_confirmer, build_dispatcher
from tests.clock import Clock
from tests.conftest import NewDatabase
from tests.web.applications import app_over
from tests.web.shop import Shop, identity_path, new_key

# Planted about a person. None of them may be anywhere that is not sealed.
EMAIL = "canary.person@shop-of-canaries.test"
MOBILE = "+49 151 7777 4242"
HANDLE = "CanaryHandle77"
STATEMENT = "canary statement of a customer"
POSTED = "canary text of a post"
COUPON = "CANARY-COUPON"
PERSONAL = (EMAIL, MOBILE, HANDLE, HANDLE.lower(), STATEMENT, POSTED, COUPON)
# Pseudonyms: in the database, for searching; in no log, metric or error.
CUSTOMER, ACCOUNT = "canary-customer-1", "7700112233"
# Secrets: nowhere at all, sealed or not.
SECRETS = {
    "TWITCH_SECRET": "canary-secret-of-twitch",
    "VOUCH_SECRET_KEYS": "canary-newest-secret-key,canary-oldest-secret-key",
    "GAMEBALL_API_KEY": "canary-gameball-api-key",
    "GAMEBALL_SECRET_KEY": "canary-gameball-secret-key",
}
SECRET_TEXTS = tuple(part for secret in SECRETS.values() for part in secret.split(","))

CONFIG = """
[gameball]
connect_timeout = 0.5
read_timeout = 0.5
retry_delays = [0.05, 0.05, 0.05]
missing_customer_delays = [0.05]
window_at_least = 20
window_at_most = 20

# Then it is a record with the coupon's code that proves a reward, and no count.
[confirmation]
read_before = "never"

[[sources]]
name = "twitch"
platform = "twitch"
secrets = ["env:TWITCH_SECRET"]

[[rules]]
challenge_id = 1
source = "twitch"
action = "follow"
repeat = "every_event"

[[rules]]
challenge_id = 2
platform = "instagram"
action = "follow"
evidence = "claimed"
"""


@dataclass(kw_only=True)
class Installation:
    """A service in use, and everything that it said to anybody."""

    service: Service
    shop: Shop
    sandbox: SandboxServer
    clock: Clock
    keys: list[str]
    answers: list[TestResponse]
    # A viewer may export; what is not for viewers must not be in it.
    exports: list[str]
    # What it logged and printed during the day.
    log: str = ""

    def call(self, *args: Any, **more: Any) -> TestResponse:
        answer = self.shop.call(*args, **more)
        self.answers.append(answer)
        return answer


@contextmanager
def sandbox_of(clock: Clock) -> Iterator[SandboxServer]:
    settings = SandboxSettings(
        grant_delay_seconds=0,
        api_key=SECRETS["GAMEBALL_API_KEY"],
        secret_key=SECRETS["GAMEBALL_SECRET_KEY"],
        campaigns=tuple(
            Campaign(id=n, name=f"Campaign {n}", points=0, coupon=COUPON) for n in (1, 2)
        ),
    )
    with SandboxServer(settings, now=lambda: clock.now().timestamp(), seed=1) as server:
        yield server


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def used(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """One day on each kind of database, for all of these tests."""
    new_database: NewDatabase = request.getfixturevalue(f"new_{request.param}")
    path, clock = tmp_path_factory.mktemp("canary") / "vouch.toml", Clock()
    path.write_text(CONFIG, "utf-8")
    logs.configure(pretty=False)
    with new_database() as url, sandbox_of(clock) as sandbox, pytest.MonkeyPatch.context() as patch:
        places = {"DATABASE_URL": url, "VOUCH_CONFIG": str(path), "GAMEBALL_BASE_URL": sandbox.url}
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        service = build_service(read_environment({**places, **SECRETS}), clock.now)
        with closing(service):
            keys = [new_key(service, role) for role in Role]
            shop = Shop(app_over(service), service, keys[0])
            made = Installation(
                service=service,
                shop=shop,
                sandbox=sandbox,
                clock=clock,
                keys=keys,
                answers=[],
                exports=[],
            )
            with redirect_stdout(StringIO()) as said, redirect_stderr(said):
                live(made)
            made.log = said.getvalue()
            yield made


def live(used: Installation) -> None:
    """A day: links, callbacks, claims, forgeries, mistakes, and a Gameball that fails."""
    backend, viewer = used.keys[0], used.keys[1]
    contact = {"handle": HANDLE, "email": EMAIL, "mobile": MOBILE}
    used.call(
        "PUT", identity_path("twitch", ACCOUNT), backend, json={"customerId": CUSTOMER, **contact}
    )
    used.call(
        "PUT", identity_path("twitch", ACCOUNT), backend, json={"customerId": "bob", **contact}
    )
    fail_in_turn(used.sandbox)
    for number in range(4):
        follow(used, f"canary-event-{number}")
    token = used.shop.token(CUSTOMER, 2, email=EMAIL, mobile=MOBILE)
    claim = {"token": token, "evidence": {"note": STATEMENT, "handle": HANDLE}}
    used.call("POST", "/v1/claims", json=claim)
    misbehave(used, token)
    forward(used)
    confirm(used)
    search_in_bulk(used)
    read(used, viewer)


def follow(used: Installation, key: str, *, is_forged: bool = False) -> None:
    event = {
        "user_id": ACCOUNT,
        "user_login": HANDLE.lower(),
        "user_name": HANDLE,
        "broadcaster_user_id": "1",
        "followed_at": "2026-01-05T12:00:00Z",
        "note": POSTED,
    }
    now = used.service.now()
    example = templates("twitch")["follow"].fill(actor=ACCOUNT, target="1", key=key, now=now)
    body = json.dumps({**json.loads(example.body), "event": event}).encode()
    signed = used.service.configuration.sources["twitch"].sign(replace(example, body=body), now)
    data = body.replace(b"followed_at", b"forged_at") if is_forged else signed.body
    used.call("POST", "/webhooks/twitch", headers=signed.headers, data=data)


def misbehave(used: Installation, token: str) -> None:
    """Mistakes and forgeries that carry what is personal or secret."""
    backend = used.keys[0]
    follow(used, "canary-forged", is_forged=True)
    used.call("POST", "/webhooks/twitch", data=f'{{"email": "{EMAIL}"')
    used.call("POST", "/v1/claims", json={"token": token + "x", "evidence": {"note": STATEMENT}})
    used.call("POST", "/v1/claims", data=f"{STATEMENT} {token}")
    wrong = {
        "customerId": CUSTOMER,
        "email": f"{EMAIL} {EMAIL}",
        "mobile": f"{MOBILE}x",
        "x": HANDLE,
    }
    used.call("PUT", identity_path("twitch", "8"), backend, json=wrong)
    used.call("GET", "/v1/attempts", "vouch_000000000000_" + SECRET_TEXTS[0])
    used.call("GET", "/v1/attempts", SECRET_TEXTS[1])


def fail_in_turn(sandbox: SandboxServer) -> None:
    """Gameball quotes contacts, breaks off, and fails; then it works."""
    said = {"message": f"no customer {EMAIL} ({MOBILE})", "code": 4004, "requestId": "r-1"}
    for fault in (
        Fault(kind="answer", path=SOCIAL_CHALLENGES, status=404, body=said),
        Fault(kind="http-500", path=SOCIAL_CHALLENGES),
        Fault(kind="reset-before", path=SOCIAL_CHALLENGES),
    ):
        sandbox.books.faults.add(fault)


def forward(used: Installation) -> None:
    """Hand over what is due, by the clock of the test, past all that fails until one is taken."""
    dispatcher = build_dispatcher(used.service)
    dispatcher.start()
    deadline = time.monotonic() + 60
    try:
        while not is_any_accepted(used.service) and time.monotonic() < deadline:
            used.clock.advance(5)
            time.sleep(0.05)
    finally:
        dispatcher.stop()


def is_any_accepted(service: Service) -> bool:
    with service.database.read() as connection:
        taken = select(AttemptRow.id).where(AttemptRow.state == State.ACCEPTED)
        return connection.execute(taken).first() is not None


def confirm(used: Installation) -> None:
    """Look at what was accepted, until the coupon that it was rewarded with is known."""
    confirmer = build_confirmer(used.service)
    try:
        for _ in range(100):
            used.clock.advance(60)
            confirmer.round()
            if is_coupon_known(used.service):
                break
    finally:
        confirmer.stop()


def is_coupon_known(service: Service) -> bool:
    with service.database.read() as connection:
        known = select(GrantRow.attempt_id).where(GrantRow.coupon_code.is_not(None))
        return connection.execute(known).first() is not None


def search_in_bulk(used: Installation) -> None:
    """A bulk job that runs, and looks for somebody by their handle."""
    now, wanted = used.service.now(), Filter(q=HANDLE)
    used.service.database.write(
        lambda c: bulk.start(c, OperatorAction.REPLAY, wanted, 1, "key:1 operator", now)
    )


def read(used: Installation, viewer: str) -> None:
    used.call("GET", "/v1/attempts", viewer, query_string={"q": HANDLE})
    for line in used.call("GET", "/v1/attempts", viewer).json["items"]:  # type: ignore[index]
        used.call("GET", f"/v1/attempts/{line['id']}", viewer)
    for path in ("/metrics", "/healthz", "/readyz", "/v1/sources", "/v1/bulk", "/openapi.json"):
        used.call("GET", path, viewer)
    for written_as in ("csv", "ndjson"):
        answer = used.shop.call(
            "GET", "/v1/attempts/export", viewer, query_string={"format": written_as}
        )
        used.exports.append(answer.get_data(as_text=True))


def kept(service: Service) -> bytes:
    """Everything in the database, as whoever steals it reads it."""
    with service.database.read() as connection:
        rows = [
            value if isinstance(value, bytes) else str(value).encode()
            for table in Base.metadata.sorted_tables
            for row in connection.execute(text(f"SELECT * FROM {table.name}"))
            for value in row
        ]
    if service.database.is_embedded:
        path = make_url(service.environment.database_url).database or ""
        files = (Path(f"{path}{end}") for end in ("", "-wal", "-shm", "-journal"))
        rows += [file.read_bytes() for file in files if file.exists()]
    return b"\n".join(rows)


def found(planted: tuple[str, ...], where: bytes | str) -> set[str]:
    text = where if isinstance(where, bytes) else where.encode()
    return {one for one in planted if one.encode() in text}


def test_the_day_had_everything_in_it(used: Installation) -> None:
    """A canary that was never there proves nothing."""
    statuses = [answer.status_code for answer in used.answers]
    assert {200, 201, 204, 202, 401, 403, 409, 422} <= set(statuses), statuses
    stored = kept(used.service)
    assert found((CUSTOMER, ACCOUNT), stored) == {CUSTOMER, ACCOUNT}
    with used.service.database.read() as connection:
        opened = [
            vars(used.service.database.vault.open_row(table, row))
            for table in Base.metadata.sorted_tables
            for row in connection.execute(select(table))
        ]
    assert found(PERSONAL, repr(opened)) == set(PERSONAL)
    assert "[removed]" in repr(opened)


def test_the_database_tells_nothing_personal_and_no_secret(used: Installation) -> None:
    assert found((*PERSONAL, *SECRET_TEXTS, *used.keys), kept(used.service)) == set()


def test_the_log_tells_nothing_of_anybody(used: Installation) -> None:
    assert '"event"' in used.log
    assert found((*PERSONAL, *SECRET_TEXTS, *used.keys, CUSTOMER, ACCOUNT), used.log) == set()


def test_answers_repeat_nothing_personal_but_to_the_backend_that_gave_it(
    used: Installation,
) -> None:
    to_others = [
        one for one in used.answers if one.request.method != "PUT" or one.status_code >= 400
    ]

    for answer in to_others:
        told = answer.get_data(as_text=True) + str(answer.headers)
        assert found((*PERSONAL, *SECRET_TEXTS), told) == set(), answer


def test_metrics_and_health_name_nobody(used: Installation) -> None:
    for answer in used.answers:
        if answer.request.path in ("/metrics", "/healthz", "/readyz"):
            told = answer.get_data(as_text=True)
            assert found((*PERSONAL, *SECRET_TEXTS, CUSTOMER, ACCOUNT), told) == set()


def test_an_export_by_who_may_only_look_holds_nothing_personal(used: Installation) -> None:
    for file in used.exports:
        assert CUSTOMER in file
        assert found((*PERSONAL, *SECRET_TEXTS), file) == set()


def test_a_crash_tells_nothing_of_anybody(
    used: Installation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database refuses the very rows that are personal; and a view fails unforeseen."""
    capsys.readouterr()
    rename(used.service, "events", "gone")

    follow(used, "canary-crash")
    used.call("GET", "/v1/attempts", used.keys[1], query_string={"q": HANDLE})
    rename(used.service, "gone", "events")
    monkeypatch.setattr("app.steps.identities._upsert", fail)
    contact = {"customerId": CUSTOMER, "handle": HANDLE, "email": EMAIL, "mobile": MOBILE}
    used.call("PUT", identity_path("twitch", "99"), used.keys[0], json=contact)

    assert [answer.status_code for answer in used.answers[-3:]] == [503, 503, 500]
    said = "".join(capsys.readouterr()) + "".join(
        a.get_data(as_text=True) for a in used.answers[-3:]
    )
    assert "Traceback" in said
    assert found((*PERSONAL, *SECRET_TEXTS, *used.keys, CUSTOMER, ACCOUNT), said) == set()


def rename(service: Service, table: str, to: str) -> None:
    service.database.write(
        lambda c: c.execute(text(f"ALTER TABLE {table} RENAME TO {to}")) and None
    )


def fail(*_: object) -> None:
    raise RuntimeError("unforeseen")
