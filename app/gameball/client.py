"""The HTTP client for Gameball."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class GameballAccount:
    """One Gameball program: its address and keys. Times are in seconds."""

    base_url: str
    api_version: str
    api_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    connect_timeout: float = 3.05
    read_timeout: float = 10.0

    @property
    def longest_call_seconds(self) -> float:
        """Return the longest time until a call is given up."""
        return self.connect_timeout + self.read_timeout


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer as received, cut off at `MAX_ANSWER_BYTES`."""

    status: int
    body: bytes
    retry_after_seconds: float | None = None


class NotSent(Exception):  # noqa: N818 -- reads as the claim it makes
    """Gameball cannot have acted on the call: no connection was made, or we withheld the body."""


class NoAnswer(Exception):  # noqa: N818 -- reads as the claim it makes
    """The call may have been received, but no complete answer arrived."""


def _at_any_time() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class _LateBody:
    """A body that decides, once the connection is open, whether it should still be sent.

    Nothing bounds the time before: names are resolved, processes are frozen. Gameball ignores a
    call without its announced body.
    """

    content: bytes
    may_send: Callable[[], bool]

    def __len__(self) -> int:
        return len(self.content)

    def __iter__(self) -> Iterator[bytes]:
        if not self.may_send():
            raise NotSent("not sent: the connection took too long")
        yield self.content


class GameballClient:
    """Calls to one Gameball account, over pooled connections. Safe to share between threads.

    It repeats no call and follows no redirect: the attempt's row decides about retries.
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
        """Submit an achievement. Every outcome is an `Answer`.

        ``may_send`` is called when the connection is open; if it returns false, nothing is sent.
        Source: POST /api/{version}/integrations/customers/social-challenges.
        """
        body: dict[str, Any] = {"customerId": customer_id, "challengeId": challenge_id}
        body.update({k: v for k, v in (("email", email), ("mobile", mobile)) if v})
        try:
            reply = self.call("POST", "customers/social-challenges", json=body, may_send=may_send)
        except NotSent as error:
            return Answer(outcome=Outcome.NOT_SENT, message=str(error))
        except NoAnswer as error:
            return Answer(outcome=Outcome.UNKNOWN, message=str(error))
        return read_answer(reply.status, reply.body, reply.retry_after_seconds)

    def create_customer(self, customer_id: str, email: str | None, mobile: str | None) -> bool:
        """Create the customer unless there is one; return whether Gameball confirmed it.

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
        """Make one call below the account's base address. Raises `NotSent` or `NoAnswer`."""
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
        """Return this thread's session: requests does not promise that sessions are thread-safe."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = self._new_session()
            self._sessions.append(session)
        return session

    def _new_session(self) -> requests.Session:
        session = _Session()
        # No retries in urllib3: it would sleep for Retry-After while the attempt is leased.
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
    """A session that ignores redirects entirely.

    requests would parse the address and read a body of any length to prepare a call that we never
    make.
    """

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        return None


def _content(body: object, may_send: Callable[[], bool]) -> dict[str, Any]:
    """Return the arguments with which `requests` sends a body as JSON."""
    late = _LateBody(json.dumps(body).encode(), may_send)
    return {"data": late, "headers": {"Content-Type": "application/json"}}


def path_of(value: str) -> str:
    """Quote a value as one segment of a path."""
    return quote(value, safe="")


def _no_netrc(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Replaces requests' default of adding credentials from ~/.netrc."""
    return request


def _read(response: requests.Response, deadline: float) -> bytes:
    """Read the whole body. The call was received, whatever fails here."""
    body = bytearray()
    try:
        # read1 returns the available bytes. A plain read waits for all it asked for, however slow.
        while chunk := response.raw.read1(16_384, decode_content=True):
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise NoAnswer(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
            if time.monotonic() > deadline:
                raise NoAnswer("the answer took too long")
    except HTTPError as error:
        raise NoAnswer(f"no complete answer: {type(error).__name__}") from None
    return bytes(body)


def _retry_after(response: requests.Response) -> float | None:
    """Return the seconds of ``Retry-After``, a number or a date (RFC 9110, 10.2.3)."""
    raw = response.headers.get("Retry-After", "").strip()
    if raw.isascii() and raw.isdigit():
        return float(raw[:9])
    try:
        return max(0.0, (parsedate_to_datetime(raw) - utc_now()).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _classified(error: Exception) -> NotSent | NoAnswer:
    """Tell errors before anything reached Gameball from others. The text names no address."""
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    kind = type(reason if isinstance(reason, Exception) else error).__name__
    if isinstance(reason, _NEVER_SENT) or isinstance(error, _NO_ADDRESS) or _is_stranger(reason):
        return NotSent(f"no connection: {kind}")
    return NoAnswer(f"no complete answer: {kind}")


def _is_stranger(reason: object) -> bool:
    """Whether the certificate was refused. Any other failure of TLS may come after the call."""
    cause = reason.args[0] if isinstance(reason, SSLError) and reason.args else None
    return isinstance(cause, ssl.SSLCertVerificationError)
