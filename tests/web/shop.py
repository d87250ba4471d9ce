"""How do a shop's backend, its page, and a platform call us? As the tests do it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.platforms.kit.examples import templates
from app.service import Service
from app.steps import keys
from app.steps.keys import Role
from app.storage.tables import ATTEMPTS, AttemptRow, AwardRow, TransitionRow

CHANNEL = "1337"


@dataclass(frozen=True, slots=True)
class Shop:
    """One shop over one service. Every call is one HTTP request."""

    app: Flask
    service: Service
    backend_key: str

    def key(self, role: Role) -> str:
        return new_key(self.service, role)

    def call(self, method: str, path: str, key: str | None = None, **more: Any) -> TestResponse:
        headers = dict(more.pop("headers", {}))
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        return self.app.test_client().open(path, method=method, headers=headers, **more)

    def mint(self, **wanted: Any) -> TestResponse:
        return self.call("POST", "/v1/claim-tokens", self.backend_key, json=wanted)

    def token(self, customer: str = "ada", challenge: int = 100, **more: Any) -> str:
        answer = self.mint(customerId=customer, challengeId=challenge, **more)
        assert answer.status_code == 201, answer.text
        token: str = _object(answer)["token"]
        return token

    def claim(
        self, token: str, evidence: Mapping[str, Any] | None = None, **more: Any
    ) -> TestResponse:
        body = {"token": token} if evidence is None else {"token": token, "evidence": evidence}
        return self.call("POST", "/v1/claims", json=body, **more)

    def claimed(self, token: str, evidence: Mapping[str, Any] | None = None) -> dict[str, Any]:
        answer = self.claim(token, evidence)
        assert answer.status_code == 202, answer.text
        return _object(answer)

    def view(self, attempt_id: str, token: str) -> TestResponse:
        return self.call("GET", f"/v1/claims/{attempt_id}", token)

    def link(self, account: str, customer: str, platform: str = "twitch", **more: Any) -> Any:
        body = {"customerId": customer, **more}
        return self.call("PUT", identity_path(platform, account), self.backend_key, json=body)

    def linked(self, account: str, customer: str, **more: Any) -> dict[str, Any]:
        answer = self.link(account, customer, **more)
        assert answer.status_code in (200, 201), answer.text
        return _object(answer)

    def unlink(self, account: str, platform: str = "twitch") -> TestResponse:
        return self.call("DELETE", identity_path(platform, account), self.backend_key)

    def follow(self, account: str, key: str = "event-1", target: str = CHANNEL) -> None:
        """Twitch tells us, correctly signed, that an account followed a channel."""
        now = self.service.now()
        # Its time is what tells one follow from another, so that each key has a time of its own.
        at = now - timedelta(milliseconds=int(key.rpartition("-")[2]) - 1)
        example = templates("twitch")["follow"].fill(actor=account, target=target, key=key, now=at)
        headers = self.service.configuration.sources["twitch"].sign(example, now).headers
        answer = self.call("POST", "/webhooks/twitch", headers=headers, data=example.body)
        assert answer.status_code == 204, answer.text

    def attempts(self) -> list[Any]:
        """Every attempt, oldest first, what is sealed opened."""
        with self.service.database.read() as connection:
            rows = connection.execute(select(ATTEMPTS).order_by(AttemptRow.id)).all()
        return [self.service.database.vault.open_row(ATTEMPTS, row) for row in rows]

    def attempt(self, attempt_id: str) -> Any:
        return next(attempt for attempt in self.attempts() if attempt.id == attempt_id)

    def states(self) -> list[str]:
        return [attempt.state for attempt in self.attempts()]

    def awards(self) -> list[Any]:
        """The attempt of each award: the ledger itself tells nobody's name."""
        with self.service.database.read() as connection:
            ids = connection.execute(select(AwardRow.attempt_id).order_by(AwardRow.id)).scalars()
            order = list(ids)
        attempts = {row.id: row for row in self.attempts()}
        return [SimpleNamespace(**vars(attempts[one]), attempt_id=one) for one in order]

    def timeline(self, attempt_id: str) -> list[tuple[str | None, str, str]]:
        """From which state to which, and who or what caused it."""
        row = TransitionRow
        statement = (
            select(row.from_state, row.to_state, row.caused_by)
            .where(row.attempt_id == attempt_id)
            .order_by(row.id)
        )
        with self.service.database.read() as connection:
            return [(moved[0], moved[1], moved[2]) for moved in connection.execute(statement)]


def identity_path(platform: str, account: str) -> str:
    return f"/v1/identities/{platform}/{quote(account, safe='')}"


def new_key(service: Service, role: Role) -> str:
    _, key = service.database.write(lambda c: keys.create(c, role, f"a {role}", service.now()))
    return key


def problem(answer: TestResponse) -> str:
    """Which of our ways to say no this is."""
    assert answer.content_type == "application/problem+json", answer.text
    said = _object(answer)
    assert said["status"] == answer.status_code
    kind: str = said["type"].removeprefix("/docs#")
    return kind


def wrong_fields(answer: TestResponse) -> list[str]:
    assert problem(answer) == "invalid"
    return [error["field"] for error in _object(answer)["errors"]]


def _object(answer: TestResponse) -> dict[str, Any]:
    said = answer.get_json()
    assert isinstance(said, dict)
    return said
