"""Posts notices to the receivers of alerts."""

from typing import Protocol

from app.outgoing.alert_messages import Message
from app.outgoing.http import READ_SECONDS, NoResponse, send
from app.platforms.kit.requests import Request
from app.settings.receivers import Receiver


class Send(Protocol):
    """Posts a message. Returns the problem, or None."""

    def __call__(self, receiver: Receiver, message: Message) -> str | None: ...


def post(receiver: Receiver, message: Message) -> str | None:
    """Post a message. Returns the problem, or None when it was taken with a 2xx.

    A redirect is a problem: only the operator decides where we call. The body is not read.
    """
    request = Request(
        method="POST",
        url=receiver.url.get_secret_value(),
        headers=message.headers,
        body=message.body,
    )
    try:
        response = send(request, read_seconds=READ_SECONDS, reads_body=False)
    except NoResponse as error:
        return f"no answer: {error.reason}"
    return None if response.is_success else f"answered {response.status}"
