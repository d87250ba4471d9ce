"""What does the shop ask of the service, and what does it answer?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests

from app.cli.callbacks import TIMEOUT_SECONDS, Answered, Signed, new_session, post

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """One answer of our API."""

    status: int
    body: Json


class Shop:
    """The shop's backend, its page and its admins, who share one key here; and the platforms."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self._session = new_session(url)
        self._headers = {"Authorization": f"Bearer {key}"}

    def close(self) -> None:
        self._session.close()

    def callback(self, source: str, signed: Signed) -> Answered:
        return post(self._session, f"{self.url}/webhooks/{source}", signed)

    def link(self, platform: str, account_id: str, customer_id: str) -> Told:
        path = f"/v1/identities/{quote(platform, safe='')}/{quote(account_id, safe='')}"
        return self._call("PUT", path, {"customerId": customer_id})

    def mint(self, customer_id: str, challenge_id: int) -> Told:
        wanted = {"customerId": customer_id, "challengeId": challenge_id}
        return self._call("POST", "/v1/claim-tokens", wanted)

    def claim(self, token: str) -> Told:
        """As the shop's page does: the token is all it has."""
        return self._call("POST", "/v1/claims", {"token": token}, {})

    def attempts(self, **wanted: str) -> list[Json]:
        """The newest attempts, newest first; a page is more than the demo makes."""
        items: list[Json] = self._call("GET", "/v1/attempts", query=wanted).body.get("items", [])
        return items

    def has(self, path: str) -> bool:
        """Whether anything is served there to somebody without a key."""
        answer = self._session.get(self.url + path, timeout=TIMEOUT_SECONDS)
        return answer.status_code == 200

    def _call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Told:
        response: requests.Response = self._session.request(
            method,
            self.url + path,
            json=body,
            headers=self._headers if headers is None else headers,
            params=query,
            timeout=TIMEOUT_SECONDS,
        )
        return Told(response.status_code, response.json())
