"""Calls from the demo's shop and platforms to the service."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from app.cli.callbacks import READ_SECONDS, Answered, Signed, post
from app.cli.clients import new_client
from app.platforms.kit.requests import Request

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """A response of our API."""

    status: int
    body: Json


class Shop:
    """The shop's backend, page and admins, who share one key here, and the platforms."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self._client = new_client(url)
        self._headers = {"Authorization": f"Bearer {key}"}

    def close(self) -> None:
        self._client.close()

    def callback(self, source: str, signed: Signed) -> Answered:
        return post(self._client, f"{self.url}/webhooks/{source}", signed)

    def link(self, platform: str, account_id: str, customer_id: str) -> Told:
        path = f"/v1/identities/{quote(platform, safe='')}/{quote(account_id, safe='')}"
        return self._call("PUT", path, {"customerId": customer_id})

    def mint(self, customer_id: str, challenge_id: int) -> Told:
        wanted = {"customerId": customer_id, "challengeId": challenge_id}
        return self._call("POST", "/v1/claim-tokens", wanted)

    def claim(self, token: str) -> Told:
        """Make a claim as the shop's page does, with only the token."""
        return self._call("POST", "/v1/claims", {"token": token}, {})

    def attempts(self, **wanted: str) -> list[Json]:
        """Return the attempts, newest first. All attempts of the demo fit on one page."""
        items: list[Json] = self._call("GET", "/v1/attempts", query=wanted).body.get("items", [])
        return items

    def has(self, path: str) -> bool:
        """Whether the path answers 200 without a key."""
        response = self._client.send(Request(method="GET", url=self.url + path), most_bytes=1 << 20)
        return response.status == 200

    def _call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Told:
        request = Request(
            method=method,
            url=self.url + path,
            headers={
                **(self._headers if headers is None else headers),
                "Content-Type": "application/json",
            },
            query=query or {},
            body=b"" if body is None else json.dumps(body).encode(),
        )
        response = self._client.send(request, read_seconds=READ_SECONDS, most_bytes=1 << 20)
        return Told(response.status, json.loads(response.body))
