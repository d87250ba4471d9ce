"""A Gameball as small as can be: a dedup window, grants that show late, and a count of them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from app.gameball.client import GameballAccount, GameballClient, NoAnswer, NotSent, Reply
from tests.clock import Clock

DEDUP_SECONDS = 60
VISIBLE_AFTER_SECONDS = 100
ACCOUNT = GameballAccount(
    base_url="https://gameball.test",
    api_version="v4.1",
    api_key="key",
    secret_key="secret",
    connect_timeout=3,
    read_timeout=10,
)


class Killed(BaseException):
    """The process that was calling is no more."""


@dataclass(frozen=True, kw_only=True)
class Landing:
    """An achievement that Gameball registered; if it is granted, it is visible a while later."""

    at: datetime
    customer_id: str
    challenge_id: int
    attempt_id: str
    is_granted: bool = True

    @property
    def visible_at(self) -> datetime:
        return self.at + timedelta(seconds=VISIBLE_AFTER_SECONDS)


@dataclass(kw_only=True)
class Books:
    """What Gameball knows. Calls still on their way arrive when the clock says so."""

    clock: Clock
    landings: list[Landing] = field(default_factory=list)
    on_their_way: list[Landing] = field(default_factory=list)
    # Whether what arrives now is rewarded, and whether the campaigns are shown at all.
    is_open: bool = True
    is_shown: bool = True

    def send(self, customer_id: str, challenge_id: int, attempt_id: str, delay: float) -> None:
        at = self.clock.now() + timedelta(seconds=delay)
        self.on_their_way.append(
            Landing(
                at=at, customer_id=customer_id, challenge_id=challenge_id, attempt_id=attempt_id
            )
        )
        self.settle()

    def settle(self) -> None:
        arrived = [one for one in self.on_their_way if one.at <= self.clock.now()]
        for call in sorted(arrived, key=lambda one: one.at):
            self.on_their_way.remove(call)
            if not self.is_echo(call):
                self.landings.append(replace(call, is_granted=self.is_open))

    def is_echo(self, call: Landing) -> bool:
        window = timedelta(seconds=DEDUP_SECONDS)
        return any(
            call.at < one.at + window for one in self.of(call.customer_id, call.challenge_id)
        )

    def of(self, customer_id: str, challenge_id: int) -> Sequence[Landing]:
        wanted = (customer_id, challenge_id)
        return [one for one in self.landings if (one.customer_id, one.challenge_id) == wanted]

    def visible(self, customer_id: str, challenge_id: int) -> Sequence[Landing]:
        self.settle()
        now = self.clock.now()
        landed = self.of(customer_id, challenge_id)
        return [one for one in landed if one.is_granted and one.visible_at <= now]

    @property
    def granted(self) -> Sequence[Landing]:
        return [one for one in self.landings if one.is_granted]


ECHO = Reply(400, b'{"code": 4000, "message": "can\'t send this action multiple times"}')
ANSWERS = {
    "http-500": Reply(500, b'{"code": 5000, "message": "generic error"}'),
    "gateway": Reply(503, b"<html></html>"),
    "busy": Reply(422, b'{"code": 2001, "message": "busy"}'),
    "no-customer": Reply(404, b'{"code": 4004, "message": "customer does not exist"}'),
    "too-fast": Reply(429, b""),
    "blocked": Reply(401, b'{"code": 1000, "message": "Unauthorized"}'),
    "permanent": Reply(400, b'{"code": 3000, "message": "no"}'),
}
# What may happen to a submission. The first word says whether it reaches Gameball.
FATES = (
    "landed answered",
    "landed lost",
    "landed killed",
    "landed http-500",
    "landed gateway",
    "landed stalled",  # answered, after the lease ran out and others had their turn
    "later lost",  # still on its way when we gave up
    "later killed",
    "never lost",
    "never killed",
    "never unsent",
    *(f"never {answer}" for answer in ANSWERS),
)


class FakeGameball(GameballClient):
    """A client whose bytes never leave the process: `call` is where they would."""

    def __init__(self, books: Books, stalled: Callable[[], None] = lambda: None) -> None:
        super().__init__(ACCOUNT)
        self.books = books
        self.fate = "landed answered"
        self.attempt_id = ""
        self.is_readable = True
        self.reads = 0
        self.frozen = 0.0  # so long until the connection of a submission stands
        self._stalled = stalled

    def call(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: dict[str, str] | None = None,
        may_send: Callable[[], bool] = lambda: True,
    ) -> Reply:
        if method == "POST":
            assert isinstance(json, dict)
            self.books.clock.advance(self.frozen)
            if not may_send():
                raise NotSent("not sent")
            return self._submitted(json["customerId"], json["challengeId"])
        self.reads += 1
        if not self.is_readable:
            raise NoAnswer("no whole answer: ReadTimeoutError")
        return self._progress(path, params or {})

    def _submitted(self, customer_id: str, challenge_id: int) -> Reply:
        reaches, ending = self.fate.split()
        answer = Reply(202, b"{}")
        if reaches != "never":
            before = len(self.books.landings)
            delay = 12.0 if reaches == "later" else 0.0
            self.books.send(customer_id, challenge_id, self.attempt_id, delay)
            answer = answer if len(self.books.landings) > before else ECHO
        return self._ended(ending, answer)

    def _ended(self, ending: str, answer: Reply) -> Reply:
        self.books.clock.advance(0.2)
        if ending == "killed":
            raise Killed
        if ending == "unsent":
            raise NotSent("no connection: NewConnectionError")
        if ending == "lost":
            self.books.clock.advance(10)
            raise NoAnswer("no whole answer: ReadTimeoutError")
        if ending == "stalled":
            self._stalled()
        return ANSWERS.get(ending, answer)

    def _progress(self, path: str, params: dict[str, str]) -> Reply:
        if path == "transactions":
            return self._transactions(params["customerId"])
        if path.endswith("/activities"):
            return Reply(200, b'{"activities": [], "count": 0, "hasMore": false}')
        if path.startswith("configurations/"):
            named = [{"id": number, "name": f"Campaign {number}"} for number in range(1, 5)]
            return Reply(200, json.dumps(named).encode())
        if not self.books.is_shown:
            return Reply(200, b"[]")
        numbers = [int(params["campaignId"])] if "campaignId" in params else range(1, 5)
        items = [self._item(path.split("/")[1], number) for number in numbers]
        return Reply(200, json.dumps(items).encode())

    def _item(self, customer_id: str, challenge_id: int) -> dict[str, object]:
        count = len(self.books.visible(customer_id, challenge_id))
        return {
            "rewardsCampaignId": challenge_id,
            "rewardsCampaignName": f"Campaign {challenge_id}",
            "achievedCount": count,
            "canAchieve": self.books.is_open,
            "rewardCampaignConfiguration": {"rewards": [{"walletReward": 50}]},
        }

    def _transactions(self, customer_id: str) -> Reply:
        rows = [
            {
                "gameballTransactionId": str(number),
                "type": "AchievementReward",
                "achievedRewardCampaignId": str(one.challenge_id),
                "transactionTime": one.visible_at.isoformat(),
            }
            for number, one in enumerate(self.books.landings)
            if one in self.books.visible(customer_id, one.challenge_id)
        ]
        return Reply(200, json.dumps({"transactions": rows}).encode())
