"""Follow the changes of attempts as they happen."""

import time
from collections.abc import Iterator

import click

from app.cli.access import Access, Criteria, Json, Listing
from app.cli.attempts_output import SHORT_ID, moved
from app.cli.filters import MAX_LIMIT
from app.cli.output import clock

# The most pages of new attempts read in one look. If there are more, the oldest are left out.
_MOST_PAGES = 20


class Follower:
    """Finds new attempts, and changes of the newest `MAX_LIMIT` attempts."""

    def __init__(self, history: Access, criteria: Criteria) -> None:
        self._history = history
        self._criteria = criteria
        self._seen: dict[str, str] = {}
        self._newest = ""

    def look(self) -> list[tuple[Json, Json]]:
        """Return every step since the last look with its attempt, in order of time."""
        is_first = not self._newest
        steps: list[tuple[Json, Json]] = []
        for one in self._changed():
            since = self._seen.get(one["id"], "")
            self._seen[one["id"]] = one["updatedAt"]
            if not is_first:
                steps += self._steps(one["id"], since)
        self._newest = max(self._seen, default="0")
        return sorted(steps, key=lambda step: str(step[1]["at"]))

    def _changed(self) -> Iterator[Json]:
        query = {**self._criteria, "limit": str(MAX_LIMIT)}
        for _ in range(_MOST_PAGES if self._newest else 1):
            page = self._history.page(Listing.ATTEMPTS, query)
            yield from (o for o in page["items"] if self._seen.get(o["id"]) != o["updatedAt"])
            cursor, items = page["nextCursor"], page["items"]
            if cursor is None or items[-1]["id"] <= self._newest:
                return
            query["cursor"] = cursor

    def _steps(self, attempt_id: str, since: str) -> list[tuple[Json, Json]]:
        attempt = self._history.one(Listing.ATTEMPTS, attempt_id)
        if attempt is None:
            return []
        return [(attempt, step) for step in attempt["timeline"] if step["at"] > since]


def follow(
    history: Access, criteria: Criteria, every_seconds: float
) -> Iterator[tuple[Json, Json]]:
    """Yield every step from now on, without end."""
    follower = Follower(history, criteria)
    follower.look()
    while True:
        time.sleep(every_seconds)
        yield from follower.look()


def line(attempt: Json, step: Json) -> str:
    """Format a step as one line."""
    what = f"{attempt['platform']} {attempt['action']}"
    told = (
        clock(step["at"]),
        attempt["id"][:SHORT_ID],
        f"{moved(step):<24}",
        attempt["customerId"] or "-",
        str(attempt["challengeId"]),
        what,
    )
    reason = f": {step['reason']}" if step["reason"] else ""
    return "  ".join(told) + reason


def as_json(attempt: Json, step: Json) -> Json:
    names = ("id", "customerId", "challengeId", "source", "platform", "action", "accountId")
    return {**{name: attempt[name] for name in names}, **step}


def say_that_it_follows() -> None:
    click.echo("Following; Ctrl-C ends it.", err=True)
