"""Does a notice leave, and what does a receiver that misbehaves do to us?"""

import time

import pytest
from pydantic import SecretStr

from app.outgoing.alert_messages import Message
from app.outgoing.alert_receivers import post
from app.settings.receivers import Receiver, ReceiverKind
from tests.gameball.stub import Answer, Stub, saying, without_end

MESSAGE = Message(b'{"text":"x"}', {"Content-Type": "application/json", "webhook-id": "id-1"})
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def receiver(url: str) -> Receiver:
    return Receiver(name="chat", kind=ReceiverKind.SLACK, url=SecretStr(url))


def answered(answer: Answer) -> tuple[str | None, list[bytes]]:
    with Stub(answer) as stub:
        return post(receiver(f"{stub.url}/secret-path"), MESSAGE), stub.requests


def test_what_is_meant_arrives() -> None:
    problem, [request] = answered(saying(OK))

    head, _, body = request.partition(b"\r\n\r\n")
    assert problem is None
    assert body == MESSAGE.body
    assert b"webhook-id: id-1" in head
    assert b"User-Agent: vouch/" in head


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 410, 429, 500, 503])
def test_all_but_a_2xx_is_a_failure_and_no_redirect_is_followed(status: int) -> None:
    with Stub(saying(OK)) as elsewhere:
        location = f"Location: {elsewhere.url}/\r\n".encode()
        head = f"HTTP/1.1 {status} So\r\n".encode() + location + b"Content-Length: 0\r\n\r\n"

        problem, requests = answered(saying(head))

        assert problem == f"answered {status}"
        assert len(requests) == 1
        assert elsewhere.requests == []


@pytest.mark.parametrize("answer", [saying(b""), saying(b"nonsense\r\n\r\n"), saying(b"\x00" * 99)])
def test_what_is_no_answer_is_a_failure_that_does_not_name_the_address(answer: Answer) -> None:
    problem, _ = answered(answer)

    assert problem is not None
    assert problem.startswith("no answer: ")
    assert "secret-path" not in problem


def test_nobody_there_is_a_failure() -> None:
    with Stub(saying(OK)) as stub:
        gone = stub.url

    assert post(receiver(gone), MESSAGE) == "no answer: ConnectionError"


def test_a_receiver_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.outgoing.alert_receivers.READ_SECONDS", 0.2)

    problem, _ = answered(saying(b"", OK, pause=1.0))

    assert problem == "no answer: ReadTimeout"


def test_a_body_without_an_end_is_not_read() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n"
    began = time.monotonic()

    problem, _ = answered(without_end(head, b"x" * 1_000, pause=0.05, seconds=5.0))

    assert problem is None
    assert time.monotonic() - began < 4
