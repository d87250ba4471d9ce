"""The actions of the people in the demo. Each is an HTTP call, printed with its response."""

import uuid
from dataclasses import dataclass, field

from app.cli.callbacks import Answered, Signed, signed_callback
from app.cli.demo.installation import Installation, Offer
from app.cli.demo.output import Output
from app.cli.demo.shop import Shop, Told
from app.domain.clock import utc_now
from app.sandbox.books import Books

TARGET = "our-page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The actors of the demo, and the promises checked so far."""

    installation: Installation
    shop: Shop
    books: Books
    teller: Output
    promises: dict[str, bool] = field(default_factory=dict)
    statuses: dict[str, list[int | None]] = field(default_factory=dict)
    """The statuses of each source's callbacks, in order."""

    @property
    def offers(self) -> tuple[Offer, ...]:
        return self.installation.offers

    def link(self, offer: Offer, account_id: str, customer_id: str) -> Told:
        """Link an account to a customer, as the shop's backend does."""
        told = self.shop.link(offer.rule.platform, account_id, customer_id)
        path = f"/v1/identities/{offer.rule.platform}/{account_id}"
        released = told.body.get("releasedAttempts")
        words = f"; released {released} attempt" if released else ""
        self.teller.call("PUT", path, told.status, f"it is {customer_id}'s{words}")
        return told

    def signed(self, offer: Offer, account_id: str, *, is_forged: bool = False) -> Signed:
        """Sign the platform's callback about an action of this account just now."""
        return signed_callback(
            offer.adapter,
            offer.template,
            actor=account_id,
            target=TARGET,
            key=str(uuid.uuid4()),
            now=utc_now(),
            is_forged=is_forged,
        )

    def send(self, offer: Offer, signed: Signed) -> Answered:
        answered = self.shop.callback(offer.source, signed)
        self.statuses.setdefault(offer.source, []).append(answered.status)
        words = f"{offer.rule.action} by {signed.events[0]['actor']}"
        self.teller.call("POST", f"/webhooks/{offer.source}", answered.status, words)
        return answered

    def mint(self, customer_id: str, challenge_id: int) -> str:
        """Mint a claim token for the shop's page, as the shop's backend does."""
        told = self.shop.mint(customer_id, challenge_id)
        words = f"a token for {customer_id} and challenge {challenge_id}"
        self.teller.call("POST", "/v1/claim-tokens", told.status, words)
        return str(told.body.get("token"))

    def claim(self, token: str) -> Told:
        """Make a claim with a token, as the shop's page does."""
        told = self.shop.claim(token)
        attempt = str(told.body.get("attemptId"))[-12:]
        words = f"attempt …{attempt}: {told.body.get('state')}"
        self.teller.call("POST", "/v1/claims", told.status, words)
        return told

    def count(self) -> int:
        return len(self.shop.attempts(limit="200"))

    def states(self, account_id: str) -> list[str]:
        """Print and return the states of an account's attempts."""
        states = [attempt["state"] for attempt in self.shop.attempts(accountId=account_id)]
        self.teller.note(f"{account_id}'s attempt is {', '.join(states)}")
        return states

    def promise(self, text: str, *, is_kept: bool) -> None:
        self.promises[text] = is_kept
