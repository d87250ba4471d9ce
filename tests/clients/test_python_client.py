"""A Python client is generated from the document of a running service, and used with each role."""

import compileall
import importlib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol
from uuid import UUID, uuid4

import pytest

from app.domain.attempts import State
from app.steps.keys import Role
from tests.clients.conftest import UNLUCKY, Running

# The first of them generates the client.
pytestmark = pytest.mark.timeout(400)

PACKAGE = "vouch_client"
# The demo's Gameball grants at once, and the demo looks three times for a reward.
PATIENCE_SECONDS = 30.0


class Call(Protocol):
    def __call__(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        """Call ``tag.operation``; the status, and what the client made of the answer."""


@pytest.fixture(scope="module")
def package(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The generated client. The generator must understand all of the document."""
    folder = tmp_path_factory.mktemp("python")
    document, config = folder / "openapi.json", folder / "config.yml"
    document.write_text(running.document(), "utf-8")
    config.write_text("post_hooks: []\n", "utf-8")
    command = [sys.executable, "-m", "openapi_python_client", "generate"]
    options = ["--path", document, "--config", config, "--meta", "none", "--fail-on-warning"]
    done = subprocess.run(
        [*command, *map(str, options), "--output-path", str(folder / PACKAGE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout, done.stdout
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module(PACKAGE)
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
            del sys.modules[name]


@pytest.fixture
def client(package: ModuleType, running: Running) -> Iterator[Any]:
    """Make a caller for a key or a token; without one, for a stranger."""
    with ExitStack() as opened:

        def make(token: str = "") -> Call:
            kind = package.AuthenticatedClient if token else package.Client
            given = {"token": token} if token else {}
            ours = opened.enter_context(
                kind(base_url=running.url, raise_on_unexpected_status=True, **given)
            )

            def call(operation: str, *args: Any, **kwargs: Any) -> Any:
                module = importlib.import_module(f"{PACKAGE}.api.{operation}")
                answer = module.sync_detailed(*args, client=ours, **kwargs)
                return answer.status_code, answer.parsed

            return call

        yield make


def models() -> Any:
    return importlib.import_module(f"{PACKAGE}.models")


def claim(running: Running, client: Any, customer: str) -> tuple[str, Any]:
    """Claim the demo's follow; the token, and the receipt."""
    wanted = models().TokenRequest(
        customer_id=customer, challenge_id=running.claimed_challenge_id, ttl_seconds=600
    )
    status, minted = client(running.keys[Role.BACKEND])("claims.create_claim_token", body=wanted)
    assert status == 201
    assert minted.expires_at.tzinfo is not None
    status, receipt = client()("claims.make_claim", body=models().ClaimRequest(token=minted.token))
    assert status == 202
    return minted.token, receipt


def test_the_generated_client_compiles(package: ModuleType) -> None:
    assert package.__file__ is not None
    folder = Path(package.__file__).parent

    assert compileall.compile_dir(folder, quiet=1)
    for path in folder.rglob("*.py"):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        importlib.import_module(".".join(parts).removesuffix(".__init__"))


def test_a_claim_is_made_and_read_with_its_token(running: Running, client: Any) -> None:
    token, receipt = claim(running, client, "customer-claims")

    _, again = client()("claims.make_claim", body=models().ClaimRequest(token=token))
    status, view = client(token)("claims.get_claim", receipt.attempt_id)

    assert again.attempt_id == receipt.attempt_id
    assert status == 200
    assert view.challenge_id == running.claimed_challenge_id
    assert isinstance(view.attempt_id, UUID)
    status, refused = client(running.keys[Role.ADMIN])("claims.get_claim", receipt.attempt_id)
    assert (status, refused.type_.value) == (401, "/docs#token-invalid")


def test_a_backend_links_and_unlinks(running: Running, client: Any) -> None:
    call = client(running.keys[Role.BACKEND])
    platform = running.offer.adapter.name
    account = f"an account/{uuid4()}"
    link = models().IdentityRequest(customer_id="customer-links", handle="ada")

    status, linked = call("identities.link_identity", platform, account, body=link)
    assert (status, linked.account_id, linked.released_attempts) == (201, account, 0)
    assert linked.email is None
    status, read = call("identities.get_identity", platform, account)
    assert (status, read.customer_id, read.handle) == (200, "customer-links", "ada")
    other = models().IdentityRequest(customer_id="somebody-else")
    status, taken = call("identities.link_identity", platform, account, body=other)
    assert (status, taken.type_.value) == (409, "/docs#taken")
    status, nothing = call("identities.unlink_identity", platform, account)
    assert (status, nothing) == (204, None)
    status, unknown = call("identities.get_identity", platform, account)
    assert (status, unknown.status) == (404, 404)


def test_a_viewer_reads_the_history(running: Running, client: Any) -> None:
    token, receipt = claim(running, client, "customer-history")
    for actor in ("stranger-1", "stranger-2"):
        running.follow(actor)
    call = client(running.keys[Role.VIEWER])
    states = [models().State(state) for state in State if state not in (State.DEAD, State.EXPIRED)]

    status, page = call("attempts.list_attempts", state=states, limit=2)
    _, older = call("attempts.list_attempts", state=states, limit=2, cursor=page.next_cursor)
    _, whole = call("attempts.get_attempt", receipt.attempt_id)
    _, events = call("events.list_events", account_id="stranger-1")
    _, event = call("events.get_event", events.items[0].id)
    _, stats = call("stats.get_stats", by=[models().By.STATE, models().By.SOURCE])
    _, sources = call("sources.list_sources")
    status_of_alerts, alerts = call("alerts.list_alerts")
    _, file = call("attempts.export_attempts", format_=models().Format.CSV)

    assert status == 200
    assert [len(page.items), older.items[0].id != page.items[0].id] == [2, True]
    assert whole.customer_id == "customer-history"
    assert whole.created_at.utcoffset().total_seconds() == 0
    assert [whole.timeline[0].from_state, whole.event] == [None, None]
    assert event.payload is None
    assert event.attempts[0].state is models().State.UNLINKED
    assert sum(count.count for count in stats.items) >= 3
    assert {count.challenge_id for count in stats.items} == {None}
    assert running.offer.source in {source.name for source in sources.items}
    assert status_of_alerts == 200
    assert all(alert.text for alert in alerts.items)
    assert file.startswith("id,state,")
    status, refused = call("audit.list_audit_entries")
    assert (status, refused.type_.value) == (403, "/docs#forbidden")
    assert token not in file


def test_an_operator_replays_cancels_and_reads_the_audit(running: Running, client: Any) -> None:
    call = client(running.keys[Role.OPERATOR])
    _, receipt = claim(running, client, UNLUCKY)
    running.follow("stranger-3")
    _, page = call("attempts.list_attempts", account_id="stranger-3")

    status, cancelled = call("attempts.cancel_attempt", page.items[0].id)
    assert (status, cancelled.state) == (200, models().State.WITHDRAWN)
    status, refused = call("attempts.replay_attempt", page.items[0].id)
    assert (status, refused.type_.value) == (409, "/docs#state")
    wait_for(call, receipt.attempt_id, models().State.NOT_GRANTED)
    status, replayed = call("attempts.replay_attempt", receipt.attempt_id)
    assert (status, replayed.state) == (200, models().State.DUE)
    wanted = models().BulkRequest(state=[models().State.DEAD], customer_id="nobody", dry_run=True)
    status, counted = call("bulk.replay_attempts", body=wanted)
    assert (status, counted.matched) == (200, 0)
    changes = [models().Change.ATTEMPT_CANCELLED, models().Change.ATTEMPT_REPLAYED]
    status, audit = call("audit.list_audit_entries", change=changes)
    assert status == 200
    assert {str(page.items[0].id), str(receipt.attempt_id)} <= {e.subject for e in audit.items}
    wrong = models().BulkRequest()
    status, invalid = call("bulk.cancel_attempts", body=wrong)
    assert (status, invalid.errors[0].field) == (422, "all")
    status, queued = call("alerts.send_test_alert")
    assert (status, queued.receivers) == (202, [])


def test_an_admin_has_a_customer_forgotten(running: Running, client: Any) -> None:
    claim(running, client, "customer-forgotten")

    status, erasure = client(running.keys[Role.ADMIN])(
        "customers.erase_customer", "customer-forgotten"
    )

    assert status in (200, 202)
    assert erasure.attempts == 1


def test_anybody_reads_what_needs_no_key(client: Any) -> None:
    call = client()

    _, document = call("developers.get_openapi")
    _, health = call("health.get_health")
    _, ready = call("health.get_readiness")
    _, metrics = call("health.get_metrics")
    _, page = call("developers.get_docs")
    status, refused = client("no key of ours")("attempts.list_attempts")

    assert document["openapi"].startswith("3.1")
    assert (health.status, ready.status) == ("ok", "ready")
    assert "vouch_" in metrics
    assert "<html" in page
    assert (status, refused.type_.value) == (401, "/docs#unauthenticated")


def wait_for(call: Call, attempt_id: UUID, state: Any) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while (found := call("attempts.get_attempt", attempt_id)[1].state) is not state:
        assert time.monotonic() < give_up, found
        time.sleep(0.2)
