"""Access to the history over a running service's API."""

import json
import time
from codecs import getincrementaldecoder
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any
from urllib.parse import quote

import click

from app.cli.access import Criteria, Json, Listing, Service
from app.cli.clients import new_client
from app.cli.filters import InvalidValues
from app.outgoing.http import Client, NoResponse
from app.platforms.kit.requests import Request, Response

READ_SECONDS = 60.0
_MOST_BYTES = 64 << 20
_LOOK_SECONDS = 0.5
_MOST_CHUNKS_OF_A_PROBLEM = 4
_REASONS = {
    "ConnectTimeout": "no connection in time",
    "ReadTimeout": "no response in time",
    "SSLError": "its certificate is not trusted",
    "ConnectionError": "no connection",
    "ChunkedEncodingError": "the response was broken off",
}


class Refused(click.ClickException):
    """An error response, with its own message."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


@contextmanager
def remote_access(service: Service) -> Iterator["Remote"]:
    """Open the service. Raises `click.ClickException` for every failure of it."""
    with closing(new_client(service.url)) as client:
        try:
            yield Remote(service, client)
        except NoResponse as error:
            reason = _REASONS.get(error.reason, error.reason)
            raise click.ClickException(f"{service.url} does not answer: {reason}") from None
        except UnicodeError:
            problem = f"{service.url} does not answer as Vouch does"
            raise click.ClickException(problem) from None


class Remote:
    def __init__(self, service: Service, client: Client) -> None:
        self._url = service.url
        self._headers = {
            "Authorization": f"Bearer {service.key}",
            "Content-Type": "application/json",
        }
        self._client = client

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
        request = self._request("GET", "/v1/attempts/export", criteria)
        decoder = getincrementaldecoder("utf-8")()
        with self._client.stream(request, read_seconds=READ_SECONDS) as (head, chunks):
            if not head.is_success:
                body = b"".join(islice(chunks, _MOST_CHUNKS_OF_A_PROBLEM))
                raise _refusal(self._url, replace(head, body=body))
            for chunk in chunks:
                yield decoder.decode(chunk)
        yield decoder.decode(b"", final=True)

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
            answer = json.loads(response.body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise click.ClickException(f"{self._url} does not answer as Vouch does")
        return answer

    def _send(
        self, method: str, path: str, *, query: Criteria | None = None, body: Json | None = None
    ) -> Response:
        request = self._request(method, path, query, body)
        response = self._client.send(
            request,
            read_seconds=READ_SECONDS,
            total_seconds=2 * READ_SECONDS,
            most_bytes=_MOST_BYTES,
        )
        if not response.is_success:
            raise _refusal(self._url, response)
        return response

    def _request(
        self, method: str, path: str, query: Criteria | None = None, body: Json | None = None
    ) -> Request:
        return Request(
            method=method,
            url=self._url + path,
            headers=self._headers,
            query=query or {},
            body=b"" if body is None else json.dumps(body).encode(),
        )


def _refusal(url: str, response: Response) -> click.ClickException:
    """Turn an RFC 9457 problem into an error. For a wrong value it names the option."""
    # Do not follow redirects: the key is only for the service that the user named.
    if 300 <= response.status < 400:
        problem = f"{url} redirects elsewhere: give the address that it leads to"
        return click.ClickException(problem)
    try:
        problem = json.loads(response.body)
        kind = str(problem["type"]).rpartition("#")[2]
        errors = problem.get("errors")
        if kind == "invalid" and errors:
            return InvalidValues([(one["field"], one["problem"]) for one in errors])
        message = f"{problem['title']}. {problem['detail']}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return Refused(response.status, "", f"{url} answered {response.status}")
    return Refused(response.status, kind, _one_line(message))


def _one_line(text: str) -> str:
    """Replace control characters: a stranger's server must not control the terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:500]


def _body(criteria: Criteria) -> Json:
    """Return a filter as JSON, with numbers and booleans instead of the query's text."""
    kinds: Mapping[str, Any] = {"challengeId": _number, "undone": _truth, "all": _truth}
    return {name: kinds.get(name, str)(value) for name, value in criteria.items()}


def _number(text: str) -> int | str:
    return int(text) if text.isdecimal() and text.isascii() else text


def _truth(text: str) -> bool | str:
    return {"true": True, "false": False}.get(text, text)


def _identity(platform: str, account_id: str) -> str:
    return f"/v1/identities/{quote(platform, safe='')}/{quote(account_id, safe='')}"
