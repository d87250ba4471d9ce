"""How does a notice leave?"""

from typing import Protocol

import requests

from app import __version__
from app.outgoing.alert_messages import Message
from app.settings.receivers import Receiver

# To connect, and between two reads of the answer.
TIMEOUTS = (3.05, 10)
USER_AGENT = f"vouch/{__version__}"


class Send(Protocol):
    """Posts a message; what went wrong, or None."""

    def __call__(self, receiver: Receiver, message: Message) -> str | None: ...


def post(receiver: Receiver, message: Message) -> str | None:
    """What went wrong, or None when it was taken. Never a word of the address: it is a secret.

    A redirect is a failure: only the operator says where we call. The answer's body is not read.
    """
    headers = {**message.headers, "User-Agent": USER_AGENT}
    try:
        with requests.post(
            receiver.url.get_secret_value(),
            data=message.body,
            headers=headers,
            timeout=TIMEOUTS,
            allow_redirects=False,
            stream=True,
        ) as answer:
            status = answer.status_code
    except (requests.RequestException, ValueError) as error:
        return f"no answer: {type(error).__name__}"
    return None if 200 <= status < 300 else f"answered {status}"
