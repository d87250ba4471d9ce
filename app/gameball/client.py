"""How do we call Gameball?"""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    SSLError,
)
from urllib3.util import Retry

from app import __version__
from app.domain.answers import Answer, Outcome, read_answer
from app.domain.clock import utc_now

MAX_ANSWER_BYTES = 1_048_576
_NEVER_SENT = (ConnectTimeoutError, NameResolutionError, NewConnectionError)
_NO_ADDRESS = (
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
)


@dataclass(frozen=True, slots=True)
class GameballAccount:
    """One Gameball program: where it is, and what opens it. Times are in seconds."""

    base_url: str
    api_version: str
    api_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    connect_timeout: float = 3.05
    read_timeout: float = 10.0

    @property
    def longest_call_seconds(self) -> float:
        """How long a call may take before its answer is given up."""
        return self.connect_timeout + self.read_timeout


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer as it came, cut off at `MAX_ANSWER_BYTES`."""

    status: int
    body: bytes
    retry_after_seconds: float | None = None


class NotSent(Exception):  # noqa: N818 -- reads as the claim it makes
    """Gameball cannot have acted on the call: no connection came about, or it was withheld."""


class NoAnswer(Exception):  # noqa: N818 -- reads as the claim it makes
    """The call may have been seen, but no whole answer came back."""


def _at_any_time() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class _LateBody:
    """A body that decides when the connection stands whether it is still to be sent.

    Nothing bounds what comes before: names are resolved, processes are frozen. A call without the
    body that its head announces is none.
    """

    content: bytes
    may_send: Callable[[], bool]

    def __len__(self) -> int:
        return len(self.content)

    def __iter__(self) -> Iterator[bytes]:
        if not self.may_send():
            raise NotSent("not sent: it took too long to get there")
        yield self.content


class GameballClient:
    """Calls to one Gameball account, over pooled connections; safe to share between threads.

    No call is repeated here and no redirect is followed: the attempt's row decides about retries.
    """

    def __init__(self, account: GameballAccount, pool_size: int = 8) -> None:
        self.account = account
        self._pool_size = pool_size
        self._local = threading.local()
        self._sessions: list[requests.Session] = []

    def submit(
        self,
        customer_id: str,
        challenge_id: int,
        email: str | None,
        mobile: str | None,
        may_send: Callable[[], bool] = _at_any_time,
    ) -> Answer:
        """Tell Gameball of an achievement; every way this can end is an `Answer`.

        ``may_send`` is asked when the connection stands; if not, nothing is sent.
        Source: POST /api/{version}/integrations/customers/social-challenges.
        """
        body: dict[str, Any] = {"customerId": customer_id, "challengeId": challenge_id}
        body.update({k: v for k, v in (("email", email), ("mobile", mobile)) if v})
        try:
            reply = self.call("POST", "customers/social-challenges", json=body, may_send=may_send)
        except NotSent as error:
            return Answer(Outcome.NOT_SENT, message=str(error))
        except NoAnswer as error:
            return Answer(Outcome.UNKNOWN, message=str(error))
        return read_answer(reply.status, reply.body, reply.retry_after_seconds)

    def create_customer(self, customer_id: str, email: str | None, mobile: str | None) -> bool:
        """Create the customer, or leave as is; whether Gameball said so.

        Danger: a new profile can trigger a welcome bonus. Source: POST …/integrations/customers.
        """
        body: dict[str, Any] = {"customerId": customer_id}
        body.update({k: v for k, v in (("email", email), ("mobile", mobile)) if v})
        try:
            return self.call("POST", "customers", json=body).status == 200
        except (NotSent, NoAnswer):
            return False

    def call(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: dict[str, str] | None = None,
        may_send: Callable[[], bool] = _at_any_time,
    ) -> Reply:
        """One call under the account's base. Raises `NotSent` or `NoAnswer`."""
        account = self.account
        url = f"{account.base_url}/api/{account.api_version}/integrations/{path}"
        deadline = time.monotonic() + account.longest_call_seconds
        content = {} if json is None else _content(json, may_send)
        try:
            with self._session().request(
                method,
                url,
                params=params,
                timeout=(account.connect_timeout, account.read_timeout),
                allow_redirects=False,
                stream=True,
                **content,
            ) as response:
                body = _read(response, deadline)
                return Reply(response.status_code, body, _retry_after(response))
        except (requests.RequestException, HTTPError) as error:
            raise _classified(error) from None

    def close(self) -> None:
        for session in self._sessions:
            session.close()

    def _session(self) -> requests.Session:
        """This thread's session: requests' sessions are not promised to be thread-safe."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = self._new_session()
            self._sessions.append(session)
        return session

    def _new_session(self) -> requests.Session:
        session = _Session()
        # No retry below us: urllib3 would sleep on Retry-After with the attempt leased.
        retries = Retry(total=0, respect_retry_after_header=False)
        adapter = HTTPAdapter(pool_maxsize=self._pool_size, max_retries=retries)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        session.auth = _no_netrc
        session.headers.update(
            {
                "apikey": self.account.api_key,
                "secretkey": self.account.secret_key,
                "Accept": "application/json",
                "User-Agent": f"vouch/{__version__}",
            }
        )
        return session


class _Session(requests.Session):
    """A session that does not even look where a redirect leads.

    requests would parse the address and read the whole body, of any length, to prepare the call
    that we never make.
    """

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        return None


def _content(body: object, may_send: Callable[[], bool]) -> dict[str, Any]:
    """What `requests` needs to send a body as JSON."""
    late = _LateBody(json.dumps(body).encode(), may_send)
    return {"data": late, "headers": {"Content-Type": "application/json"}}


def path_of(value: str) -> str:
    """A value as one segment of a path."""
    return quote(value, safe="")


def _no_netrc(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Stand in for requests' habit of adding credentials from ~/.netrc."""
    return request


def _read(response: requests.Response, deadline: float) -> bytes:
    """The whole body. Whatever goes wrong here, the call had reached somebody."""
    body = bytearray()
    try:
        # read1 gives what has come. A plain read waits for all it asked for, however slow.
        while chunk := response.raw.read1(16_384, decode_content=True):
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise NoAnswer(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
            if time.monotonic() > deadline:
                raise NoAnswer("the answer took too long")
    except HTTPError as error:
        raise NoAnswer(f"no whole answer: {type(error).__name__}") from None
    return bytes(body)


def _retry_after(response: requests.Response) -> float | None:
    """Seconds from ``Retry-After``, which is a number of them or a date (RFC 9110, 10.2.3)."""
    raw = response.headers.get("Retry-After", "").strip()
    if raw.isascii() and raw.isdigit():
        return float(raw[:9])
    try:
        return max(0.0, (parsedate_to_datetime(raw) - utc_now()).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _classified(error: Exception) -> NotSent | NoAnswer:
    """Tell what cannot have reached Gameball from what may have. The text names no address."""
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    kind = type(reason if isinstance(reason, Exception) else error).__name__
    if isinstance(reason, _NEVER_SENT) or isinstance(error, _NO_ADDRESS) or _is_stranger(reason):
        return NotSent(f"no connection: {kind}")
    return NoAnswer(f"no whole answer: {kind}")


def _is_stranger(reason: object) -> bool:
    """Whether the certificate was refused. Any other failure of TLS may come after the call."""
    cause = reason.args[0] if isinstance(reason, SSLError) and reason.args else None
    return isinstance(cause, ssl.SSLCertVerificationError)
