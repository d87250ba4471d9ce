"""Is every way in which a call can end taken for no more than it proves?"""

import gzip
import json
import socket
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import NoReturn

import pytest

from app.domain.answers import Answer, Outcome
from app.domain.clock import utc_now
from app.gameball.client import MAX_ANSWER_BYTES, GameballAccount, GameballClient, path_of
from app.sandbox.calls import Call
from app.sandbox.faults import Fault
from app.sandbox.scripts import SCRIPTS
from app.sandbox.server import SandboxServer
from tests.gameball.conftest import API_KEY, SECRET_KEY, ClientOf
from tests.gameball.stub import Stub, breaking_tls_after, certificate, saying, without_end

ACCEPTED = b'{"customerId": "ann", "challengeId": 7}'
OK = b"HTTP/1.1 202 Accepted\r\nContent-Length: %d\r\n\r\n" % len(ACCEPTED) + ACCEPTED

# kind of fault -> what it proves, and whether the achievement has landed by then.
FAULTS = {
    "timeout-before": (Outcome.UNKNOWN, False),
    "reset-before": (Outcome.UNKNOWN, False),
    "http-500": (Outcome.UNKNOWN, False),
    "http-503-html": (Outcome.UNKNOWN, False),
    "html-200": (Outcome.UNKNOWN, False),
    "redirect": (Outcome.UNKNOWN, False),
    "rate-limit": (Outcome.TOO_FAST, False),
    "unauthorized": (Outcome.BLOCKED, False),
    "forbidden": (Outcome.BLOCKED, False),
    "concurrent": (Outcome.BUSY, False),
    "gameball-disabled-422": (Outcome.BLOCKED, False),
    "answer": (Outcome.PERMANENT, False),
    "timeout-after": (Outcome.UNKNOWN, True),
    "reset-after": (Outcome.UNKNOWN, True),
    "http-500-after": (Outcome.UNKNOWN, True),
    "bad-json-202-after": (Outcome.UNKNOWN, True),
    "answer-after": (Outcome.PERMANENT, True),
    "truncate": (Outcome.UNKNOWN, True),
    "slow": (Outcome.ACCEPTED, True),
}


def fault(kind: str) -> Fault:
    seconds = {"slow": 0.1, "timeout-before": 2.0, "timeout-after": 2.0}.get(kind)
    if kind.startswith("answer"):
        return Fault(kind=kind, status=418, body={"code": 4500, "message": "no"})
    return Fault(kind=kind, seconds=seconds)


def submit(client: GameballClient) -> Answer:
    return client.submit("ann", 7, None, None)


def the_call(sandbox: SandboxServer) -> Call:
    """The one call that was made: whatever happens, none is repeated below the attempt's row."""
    deadline = time.monotonic() + 5
    while not sandbox.books.calls() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.02)
    [call] = sandbox.books.calls()
    return call


def test_an_achievement_is_accepted(sandbox: SandboxServer, client: GameballClient) -> None:
    answer = client.submit("ann", 7, "ann@b.test", "+49 30 1")

    assert (answer.outcome, answer.status) == (Outcome.ACCEPTED, 202)
    call = the_call(sandbox)
    assert (call.customer_id, call.challenge_id, call.status) == ("ann", 7, 202)
    assert call.path == "/api/v4.1/integrations/customers/social-challenges"


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_proves_no_more_than_it_does(
    sandbox: SandboxServer, client: GameballClient, kind: str
) -> None:
    outcome, has_landed = FAULTS[kind]
    sandbox.books.faults.add(fault(kind))

    answer = submit(client)

    assert answer.outcome is outcome
    call = the_call(sandbox)
    assert (call.fault, call.has_landed) == (kind, has_landed)
    # Certain not to have landed is only what Gameball refused, never what went missing.
    if has_landed:
        assert outcome in (Outcome.UNKNOWN, Outcome.ACCEPTED) or kind == "answer-after"


def test_every_fault_of_the_sandbox_is_tried() -> None:
    assert set(FAULTS) == set(SCRIPTS)


@pytest.mark.parametrize("kind", FAULTS)
def test_what_is_said_of_a_call_names_no_key_and_no_address(
    sandbox: SandboxServer, client: GameballClient, kind: str
) -> None:
    sandbox.books.faults.add(fault(kind))

    said = repr(submit(client))

    for hidden in (API_KEY, SECRET_KEY, "127.0.0.1", "localhost", str(sandbox.port)):
        assert hidden not in said


def test_an_echo_and_an_unknown_customer_are_told_apart(
    sandbox: SandboxServer, client: GameballClient
) -> None:
    submit(client)

    echo = submit(client)
    missing = client.submit("missing-bob", 7, None, None)

    assert (echo.outcome, echo.code) == (Outcome.ECHO, 4000)
    assert (missing.outcome, missing.code) == (Outcome.NO_CUSTOMER, 4004)
    assert missing.request_id


def test_wrong_keys_are_our_own_fault(sandbox: SandboxServer, client_of: ClientOf) -> None:
    assert submit(client_of(sandbox.url, api_key="wrong")).outcome is Outcome.BLOCKED
    assert submit(client_of(sandbox.url, secret_key="wrong")).code == 1006


def test_a_disabled_program_accepts_and_says_so(
    sandbox: SandboxServer, client: GameballClient
) -> None:
    sandbox.books.configure(gameball_status="Disabled")

    assert submit(client).outcome is Outcome.PROGRAM_DISABLED


def test_the_version_is_a_part_of_the_path(sandbox: SandboxServer, client_of: ClientOf) -> None:
    assert submit(client_of(sandbox.url, "v4.0")).outcome is Outcome.ACCEPTED
    assert submit(client_of(sandbox.url, "v9.9")).outcome is Outcome.UNKNOWN


def test_what_is_sent_is_what_gameball_documents(client_of: ClientOf) -> None:
    with Stub(saying(OK)) as stub:
        client_of(stub.url).submit('"Ann" \u00e4', 7, None, "+49")

    [request] = stub.requests
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /api/v4.1/integrations/customers/social-challenges HTTP/1.1"
    headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
    assert (headers["apikey"], headers["secretkey"]) == (API_KEY, SECRET_KEY)
    assert (headers["accept"], headers["content-type"]) == (*["application/json"] * 2,)
    assert headers["user-agent"].startswith("vouch/")
    assert json.loads(body) == {"customerId": '"Ann" \u00e4', "challengeId": 7, "mobile": "+49"}


def test_a_customer_id_of_any_kind_is_one_segment_of_a_path() -> None:
    assert path_of("a/b?c#d e%\u00e4") == "a%2Fb%3Fc%23d%20e%25%C3%A4"


# Certain not to have been sent.


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_nobody_listening_is_certainly_not_sent(client_of: ClientOf, closed_port: int) -> None:
    answer = submit(client_of(f"http://127.0.0.1:{closed_port}"))

    assert (answer.outcome, answer.status) == (Outcome.NOT_SENT, None)
    assert answer.message == "no connection: NewConnectionError"


def test_a_call_that_may_no_longer_be_sent_is_certainly_not_sent(
    sandbox: SandboxServer, client: GameballClient
) -> None:
    answer = client.submit("ann", 7, None, None, lambda: False)

    assert answer.outcome is Outcome.NOT_SENT
    assert submit(client).outcome is Outcome.ACCEPTED
    assert sandbox.books.report().accepted == 1


def test_whether_a_call_may_be_sent_is_asked_when_the_connection_stands(
    sandbox: SandboxServer, client_of: ClientOf, closed_port: int
) -> None:
    asked = []

    def may_send() -> bool:
        asked.append(True)
        return True

    client_of(f"http://127.0.0.1:{closed_port}").submit("ann", 7, None, None, may_send)
    before = len(asked)
    client_of(sandbox.url).submit("ann", 7, None, None, may_send)

    assert (before, len(asked)) == (0, 1)


def test_a_name_nobody_knows_is_certainly_not_sent(
    client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(*_: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    answer = submit(client_of("http://gameball.test"))

    assert (answer.outcome, answer.message) == (
        Outcome.NOT_SENT,
        "no connection: NameResolutionError",
    )


@pytest.mark.skipif(sys.platform != "linux", reason="fills a backlog as Linux counts it")
def test_a_connection_that_never_comes_is_certainly_not_sent(client_of: ClientOf) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        answer = submit(client_of(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        for filler in fillers:
            filler.close()

    assert answer.outcome is Outcome.NOT_SENT


@pytest.mark.parametrize("url", ["gameball.test", "ftp://gameball.test", "http://", "http://[::1"])
def test_an_address_that_is_none_is_certainly_not_sent(client_of: ClientOf, url: str) -> None:
    assert submit(client_of(url)).outcome is Outcome.NOT_SENT


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    return certificate(tmp_path)


def test_a_stranger_with_a_certificate_of_his_own_is_told_nothing(
    client_of: ClientOf, tls: tuple[ssl.SSLContext, Path]
) -> None:
    with Stub(saying(OK), tls[0]) as stub:
        answer = submit(client_of(stub.url))

    assert answer.outcome is Outcome.NOT_SENT
    assert stub.requests == []


@pytest.fixture
def trusted(tls: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls[1]))
    return tls[0]


def test_a_trusted_certificate_is_spoken_to(client_of: ClientOf, trusted: ssl.SSLContext) -> None:
    with Stub(saying(OK), trusted) as stub:
        assert submit(client_of(stub.url)).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("head", [b"", OK[:20], OK[:-5]], ids=["at once", "in head", "in body"])
def test_tls_that_breaks_after_the_call_was_sent_proves_nothing(
    client_of: ClientOf, trusted: ssl.SSLContext, head: bytes
) -> None:
    with Stub(breaking_tls_after(head), trusted) as stub:
        answer = submit(client_of(stub.url))

    assert len(stub.requests) == 1
    assert answer.outcome is Outcome.UNKNOWN


# Answers as no Gameball would give them.

HEAD = b"HTTP/1.1 202 Accepted\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
ZIPPED = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
BOMB = gzip.compress(bytes(8 * MAX_ANSWER_BYTES))


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        pytest.param(b"", Outcome.UNKNOWN, id="nothing"),
        pytest.param(b"\x00\xff\x00\xff", Outcome.UNKNOWN, id="noise"),
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", Outcome.UNKNOWN, id="another protocol"),
        pytest.param(b"HTTP/1.1 abc\r\n\r\n", Outcome.UNKNOWN, id="no status"),
        pytest.param(b"HTTP/1.1 202 Acc", Outcome.UNKNOWN, id="half a head"),
        pytest.param(HEAD + b"X: y\r\n" * 200 + b"\r\n", Outcome.UNKNOWN, id="too many headers"),
        pytest.param(HEAD + b"X: " + b"y" * 70_000, Outcome.UNKNOWN, id="a header too long"),
        pytest.param(HEAD + b"Content-Length: 5, 6\r\n\r\n{}", Outcome.UNKNOWN, id="two lengths"),
        pytest.param(HEAD + b"Content-Length: 99\r\n\r\n{}", Outcome.UNKNOWN, id="cut off"),
        pytest.param(HEAD + b"\r\n" + ACCEPTED, Outcome.ACCEPTED, id="until it closes"),
        pytest.param(CHUNKED + b"2\r\n{}\r\n0\r\n\r\n", Outcome.ACCEPTED, id="chunked"),
        pytest.param(CHUNKED + b"2\r\n{}\r\n", Outcome.UNKNOWN, id="chunked and cut off"),
        pytest.param(CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n", Outcome.UNKNOWN, id="chunked junk"),
        pytest.param(
            ZIPPED % len(gzip.compress(ACCEPTED)) + gzip.compress(ACCEPTED),
            Outcome.ACCEPTED,
            id="zipped",
        ),
        pytest.param(ZIPPED % 4 + b"junk", Outcome.UNKNOWN, id="zipped junk"),
        pytest.param(ZIPPED % len(BOMB) + BOMB, Outcome.UNKNOWN, id="a bomb"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, Outcome.ACCEPTED, id="continue first"),
        pytest.param(
            b"HTTP/1.1 302 Found\r\nLocation: http://[\r\nContent-Length: 0\r\n\r\n",
            Outcome.UNKNOWN,
            id="a redirect to nowhere",
        ),
        pytest.param(
            b"HTTP/1.1 307 Again\r\nLocation: \xff\xfe\r\nContent-Length: 0\r\n\r\n",
            Outcome.UNKNOWN,
            id="a redirect to noise",
        ),
    ],
)
def test_whatever_comes_back_is_an_answer(
    client_of: ClientOf, answer: bytes, outcome: Outcome
) -> None:
    with Stub(saying(answer)) as stub:
        assert submit(client_of(stub.url)).outcome is outcome

    assert len(stub.requests) == 1


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"\r\n",
        HEAD + b"Content-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\n",
    ],
    ids=["without a length", "with a length", "of a redirect"],
)
def test_no_more_than_a_megabyte_is_read(client_of: ClientOf, head: bytes) -> None:
    with Stub(without_end(head, b" " * 65_536)) as stub:
        answer = submit(client_of(stub.url))

    assert answer.outcome is Outcome.UNKNOWN
    assert answer.message == f"the answer is longer than {MAX_ANSWER_BYTES} bytes"


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"Content-Length: 10000\r\n\r\n",
        CHUNKED + b"2710\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 10000\r\n\r\n",
    ],
    ids=["whole", "chunked", "of a redirect"],
)
def test_an_answer_in_drops_does_not_outlast_the_longest_call(
    client_of: ClientOf, head: bytes
) -> None:
    with Stub(without_end(head, b" ", pause=0.03)) as stub:
        client = client_of(stub.url)
        began = time.monotonic()
        answer = submit(client)
        took = time.monotonic() - began

    assert answer.outcome is Outcome.UNKNOWN
    assert took < client.account.longest_call_seconds + 1


def test_silence_is_given_up_in_time(client_of: ClientOf) -> None:
    with Stub(lambda _connection: time.sleep(2)) as stub:
        answer = submit(client_of(stub.url))

    assert (answer.outcome, answer.message) == (
        Outcome.UNKNOWN,
        "no complete answer: ReadTimeoutError",
    )


def test_a_redirect_is_not_followed(client_of: ClientOf) -> None:
    with Stub(saying(OK)) as elsewhere:
        location = f"Location: {elsewhere.url}/".encode()
        moved = b"HTTP/1.1 307 Moved\r\n" + location + b"\r\nContent-Length: 0\r\n\r\n"
        with Stub(saying(moved)) as stub:
            answer = submit(client_of(stub.url))

    assert (answer.outcome, answer.status) == (Outcome.UNKNOWN, 307)
    assert elsewhere.requests == []


# Retry-After, in both forms and in none.


def told_to_wait(sandbox: SandboxServer, client: GameballClient, value: str) -> float | None:
    headers = {"Retry-After": value}
    sandbox.books.faults.add(Fault(kind="answer", status=429, body={"code": 429}, headers=headers))
    answer = submit(client)
    assert answer.outcome is Outcome.TOO_FAST
    return answer.retry_after_seconds


def test_a_number_of_seconds_to_wait_is_read(
    sandbox: SandboxServer, client: GameballClient
) -> None:
    sandbox.books.faults.add(Fault(kind="rate-limit", seconds=7))

    assert submit(client).retry_after_seconds == 7


def test_a_date_to_wait_for_is_read(sandbox: SandboxServer, client: GameballClient) -> None:
    date = format_datetime(utc_now() + timedelta(seconds=60), usegmt=True)

    seconds = told_to_wait(sandbox, client, date)

    assert seconds is not None
    assert 55 < seconds <= 60


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("1e3", None),
        ("\u00b2", None),
        ("0", 0),
        ("99999999999999999999", 999_999_999),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", None),
        ("Wed, 21 Oct 2015 07:28:00 +99999999999999999999", None),
        ("Wed, 21 Oct 99999999999 07:28:00 GMT", None),
        ("Wed, 99 Oct 2015 99:99:99 GMT", None),
    ],
)
def test_any_other_word_on_waiting_is_no_trouble(
    sandbox: SandboxServer, client: GameballClient, value: str, seconds: float | None
) -> None:
    assert told_to_wait(sandbox, client, value) == seconds


# What the machine we run on would add.


def test_no_credentials_of_the_machine_are_sent(
    client_of: ClientOf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login somebody password hidden\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))

    with Stub(saying(OK)) as stub:
        submit(client_of(stub.url))

    assert b"authorization" not in stub.requests[0].lower()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_broken_proxy_is_named_without_its_password(
    client_of: ClientOf, monkeypatch: pytest.MonkeyPatch, closed_port: int, scheme: str
) -> None:
    proxy = f"http://somebody:hidden@127.0.0.1:{closed_port}"
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.setenv("no_proxy", "")

    answer = submit(client_of(f"{scheme}://gameball.test"))

    assert answer.outcome in (Outcome.UNKNOWN, Outcome.NOT_SENT)
    assert "hidden" not in repr(answer)


def test_an_account_shows_no_keys() -> None:
    shown = repr(
        GameballAccount(
            base_url="https://gameball.test",
            api_version="v4.1",
            api_key=API_KEY,
            secret_key=SECRET_KEY,
        )
    )

    assert "gameball.test" in shown
    assert API_KEY not in shown
    assert SECRET_KEY not in shown


# The rest.


def test_threads_share_a_client(sandbox: SandboxServer, client: GameballClient) -> None:
    def achieve(number: int) -> Outcome:
        return client.submit(f"customer-{number}", 7, None, None).outcome

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(achieve, range(24)))

    assert outcomes == [Outcome.ACCEPTED] * 24
    assert len(sandbox.books.grants()) == 24


def test_a_connection_is_used_again_and_a_broken_one_is_not(
    sandbox: SandboxServer, client: GameballClient
) -> None:
    for kind in ("reset-before", "truncate", "timeout-before"):
        sandbox.books.faults.add(fault(kind))
        submit(client)

    assert client.submit("bob", 7, None, None).outcome is Outcome.ACCEPTED


def test_a_customer_is_created_when_gameball_says_so(
    sandbox: SandboxServer, client: GameballClient
) -> None:
    assert client.create_customer("missing-ann", "ann@b.test", None)
    assert client.submit("missing-ann", 7, None, None).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("kind", ["http-500", "reset-before", "unauthorized", "timeout-before"])
def test_a_customer_is_not_said_to_be_created_otherwise(
    sandbox: SandboxServer, client: GameballClient, kind: str
) -> None:
    sandbox.books.faults.add(fault(kind))

    assert not client.create_customer("missing-ann", None, None)
