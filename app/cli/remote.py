"""A history behind a running service's API."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import click
import requests

from app import __version__
from app.cli.access import Criteria, Json, Listing, Service
from app.cli.filters import InvalidValues

TIMEOUT_SECONDS = (5.0, 60.0)
_LOOK_SECONDS = 0.5
_RUNNING = "running"


class Refused(click.ClickException):
    """An answer that says no, in its own words."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


@contextmanager
def remote_access(service: Service) -> Iterator["Remote"]:
    """Raises `click.ClickException` for every way in which the service can fail."""
    session = requests.Session()
    # Else a .netrc file would replace the key.
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {service.key}"
    session.headers["User-Agent"] = f"vouch/{__version__}"
    try:
        yield Remote(service.url, session)
    except (requests.RequestException, UnicodeError) as error:
        raise click.ClickException(f"{service.url} does not answer: {_reason(error)}") from None
    finally:
        session.close()


class Remote:
    def __init__(self, url: str, session: requests.Session) -> None:
        self._url = url
        self._session = session

    def page(self, kind: Listing, criteria: Criteria) -> Json:
        return self._json("GET", f"/v1/{kind}", query=criteria)

    def one(self, kind: Listing, item_id: str) -> Json | None:
        try:
            return self._json("GET", f"/v1/{kind}/{quote(item_id, safe='')}")
        except Refused as refused:
            if refused.kind == "unknown":
                return None
            raise

    def export(self, criteria: Criteria) -> Iterator[str]:
        response = self._send("GET", "/v1/attempts/export", query=criteria, is_stream=True)
        response.encoding = "utf-8"
        for chunk in response.iter_content(65_536, decode_unicode=True):
            yield str(chunk)

    def act(self, act: str, attempt_id: str) -> str | None:
        try:
            self._json("POST", f"/v1/attempts/{attempt_id}/{act}")
        except Refused as refused:
            if refused.kind == "state":
                return refused.message
            raise
        return None

    def count(self, act: str, criteria: Criteria) -> int:
        body = {**_body(criteria), "dryRun": True}
        return int(self._json("POST", f"/v1/attempts/{act}", body=body)["matched"])

    def begin(self, act: str, criteria: Criteria, matched: int) -> Json:  # noqa: ARG002
        return self._json("POST", f"/v1/attempts/{act}", body=_body(criteria))

    def follow(self, job: Json) -> Json:
        if job["endedAt"] is None:
            time.sleep(_LOOK_SECONDS)
        return self._json("GET", f"/v1/bulk/{job['id']}")

    def stop(self, job: Json) -> Json:
        return self._json("POST", f"/v1/bulk/{job['id']}/stop")

    def link(self, platform: str, account_id: str, customer: Json) -> Json:
        return self._json("PUT", _identity(platform, account_id), body=customer)

    def unlink(self, platform: str, account_id: str) -> bool:
        try:
            self._send("DELETE", _identity(platform, account_id))
        except Refused as refused:
            if refused.kind == "unknown":
                return False
            raise
        return True

    def _json(self, method: str, path: str, **sent: Any) -> Json:
        response = self._send(method, path, **sent)
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise click.ClickException(f"{self._url} does not answer as Vouch does")
        return answer

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Criteria | None = None,
        body: Json | None = None,
        is_stream: bool = False,
    ) -> requests.Response:
        response = self._session.request(
            method,
            self._url + path,
            params=query,
            json=body,
            timeout=TIMEOUT_SECONDS,
            stream=is_stream,
            # The key is for the service that was named, not for where it sends us.
            allow_redirects=False,
        )
        if 300 <= response.status_code < 400:
            told = f"{self._url} redirects elsewhere: give the address that it leads to"
            raise click.ClickException(told)
        if response.status_code >= 400:
            raise _refusal(self._url, response)
        return response


def _refusal(url: str, response: requests.Response) -> click.ClickException:
    """A problem of RFC 9457 in words; a wrong value is a usage error that names its option."""
    try:
        problem = response.json()
        kind = str(problem["type"]).rpartition("#")[2]
        errors = problem.get("errors")
        if kind == "invalid" and errors:
            return InvalidValues([(one["field"], one["problem"]) for one in errors])
        message = f"{problem['title']}. {problem['detail']}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return Refused(response.status_code, "", f"{url} answered {response.status_code}")
    return Refused(response.status_code, kind, _one_line(message))


def _one_line(text: str) -> str:
    """What a stranger's server says must not steer a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:500]


def _reason(error: Exception) -> str:
    names = {
        "ConnectTimeout": "no connection in time",
        "ReadTimeout": "no response in time",
        "SSLError": "its certificate is not trusted",
        "ConnectionError": "no connection",
        "ChunkedEncodingError": "the response was broken off",
    }
    return names.get(type(error).__name__, type(error).__name__)


def _body(criteria: Criteria) -> Json:
    """A filter as JSON: what is a number or a truth value there is text in a query."""
    kinds: Mapping[str, Any] = {"challengeId": _number, "undone": _truth, "all": _truth}
    return {name: kinds.get(name, str)(value) for name, value in criteria.items()}


def _number(text: str) -> int | str:
    return int(text) if text.isdecimal() and text.isascii() else text


def _truth(text: str) -> bool | str:
    return {"true": True, "false": False}.get(text, text)


def _identity(platform: str, account_id: str) -> str:
    return f"/v1/identities/{quote(platform, safe='')}/{quote(account_id, safe='')}"
