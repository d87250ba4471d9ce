"""Does any sequence of acting, undoing, linking and joining end as a plain model of it says?

The model has no database, no hashes and no locks: it knows persons, and pays each of them once.
"""

from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.answers import Outcome
from app.domain.events import Event
from app.steps.identities import Linked
from app.storage.tables import AttemptRow, IdentityRow
from tests.steps.conftest import empty
from tests.steps.world import FOLLOW, World

RULE = replace(FOLLOW, hold_seconds=3_600)
LIVE = {"held", "accepted"}

ids = st.sampled_from(["a", "b", "c"])
# Two who are linked and were paid before anybody knows that they are one: few sequences begin so.
BEGINNINGS: list[list[tuple[object, ...]]] = [
    [],
    [("link", "a", "ann"), ("link", "b", "bob")],
    [("link", "a", "ann"), ("link", "b", "bob"), ("do", "b", [])],
    [("link", "a", "ann"), ("link", "b", "bob"), ("do", "b", []), ("join", "a", "b")],
    [("do", "a", []), ("link", "b", "bob"), ("do", "b", []), ("pay",), ("join", "a", "b")],
]
ACTS = st.one_of(
    st.tuples(st.just("do"), ids, st.lists(ids, max_size=2, unique=True)),
    st.tuples(st.just("do"), ids, st.just([])),
    st.tuples(st.just("undo"), ids),
    st.tuples(st.just("remove"), st.integers(0, 5), st.booleans()),
    st.tuples(st.just("show"), st.integers(0, 5)),
    st.tuples(st.just("repeat"), st.integers(0, 5)),
    st.tuples(st.just("join"), ids, ids),
    st.tuples(st.just("move"), ids, ids),
    st.tuples(st.just("link"), ids, st.sampled_from(["ann", "bob"])),
    st.tuples(st.just("unlink"), ids),
    st.tuples(st.just("pay")),
)


@dataclass
class Person:
    """Who acts, by how many ids whatsoever."""

    ids: set[str]
    gave_up: set[str] = field(default_factory=set)


@dataclass(kw_only=True)
class Try:
    account: str
    state: str
    customer: str | None
    is_undone: bool = False


@dataclass(kw_only=True)
class Model:
    persons: list[Person] = field(default_factory=lambda: [Person({i}) for i in "abc"])
    links: dict[str, tuple[int, str]] = field(default_factory=dict)
    tries: list[Try] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    turns: count = field(default_factory=count)  # type: ignore[type-arg]

    def person(self, one: str) -> Person:
        [found] = [person for person in self.persons if one in person.ids]
        return found

    def customer(self, one: str) -> str | None:
        if one in self.links:
            return self.links[one][1]
        linked = [self.links[i] for i in self.person(one).ids if i in self.links]
        return min(linked)[1] if linked else None

    def earn(self, attempt: Try, customer: str) -> None:
        attempt.customer = customer
        taken = [
            other
            for other in self.tries
            if other is not attempt
            and other.state in LIVE
            and (
                other.customer == customer
                or self.person(other.account) is self.person(attempt.account)
            )
        ]
        attempt.state = "duplicate" if taken else "held"

    def release(self, one: str) -> None:
        customer = self.customer(one)
        if customer is None:
            return
        for attempt in self.tries:
            if attempt.state == "unlinked" and attempt.account in self.person(one).ids:
                self.earn(attempt, customer)

    def do(self, actor: str, aliases: list[str]) -> None:
        self.seen.add(actor)
        for alias in aliases:
            self.join(actor, alias)
        attempt = Try(account=actor, state="unlinked", customer=None)
        self.tries.append(attempt)
        customer = self.customer(actor)
        if customer is not None:
            self.earn(attempt, customer)

    def undo(self, actor: str) -> None:
        self.seen.add(actor)
        # None is left to stand in: everything the person did is undone.
        for attempt in self.tries:
            if self.person(attempt.account) is self.person(actor) and not attempt.is_undone:
                attempt.is_undone = True
                if attempt.state in ("unlinked", "held"):
                    attempt.state = "withdrawn"

    def remove(self, attempt: Try) -> None:
        if attempt.is_undone:
            return
        attempt.is_undone = True
        was = attempt.state
        if was in ("unlinked", "held"):
            attempt.state = "withdrawn"
        for other in self.tries:
            is_theirs = self.person(other.account) is self.person(attempt.account)
            is_free = other.state == "duplicate" and not other.is_undone
            if was in ("unlinked", "held") and is_theirs and is_free and other.customer:
                self.earn(other, other.customer)
                if other.state == "held":
                    return

    def show(self, attempt: Try) -> None:
        if not attempt.is_undone:
            return
        attempt.is_undone = False
        if attempt.state != "withdrawn":
            return
        attempt.state = "unlinked"
        customer = attempt.customer or self.customer(attempt.account)
        if customer is not None:
            self.earn(attempt, customer)

    def join(self, one: str, other: str) -> None:
        first, second = self.person(one), self.person(other)
        if first is second:
            return
        self._unite(first, second)
        self.release(other)

    def _unite(self, first: Person, second: Person) -> None:
        if first is not second:
            self.seen |= first.ids | second.ids
            first.ids |= second.ids
            first.gave_up |= second.gave_up
            self.persons.remove(second)

    def move(self, old: str, new: str) -> None:
        is_anybody = {old, new} & (self.seen | self.links.keys())
        is_again = old not in self.person(new).ids and old in self.person(new).gave_up
        if old == new or is_again or not is_anybody:
            return
        self._unite(self.person(old), self.person(new))
        person = self.person(new)
        person.ids.remove(old)
        person.gave_up.add(old)
        self.persons.append(Person({old}))
        self.seen |= {old, new}
        link = self.links.pop(old, None)
        if link is not None:
            self.links.setdefault(new, link)
        for attempt in self.tries:
            attempt.account = new if attempt.account == old else attempt.account
        self.release(new)

    def link(self, one: str, customer: str) -> bool:
        if self.customer(one) not in (None, customer):
            return False
        self.links.setdefault(one, (next(self.turns), customer))
        self.release(one)
        return True

    def unlink(self, one: str) -> None:
        customer = self.customer(one)
        for i in self.person(one).ids:
            if i in self.links and self.links[i][1] == customer:
                del self.links[i]

    def pay(self) -> None:
        for attempt in self.tries:
            if attempt.state == "held":
                attempt.state = "accepted"


class Run:
    """The same acts, to the service and to the model."""

    def __init__(self, world: World) -> None:
        self.world, self.model = world, Model()
        self.events: list[Event] = []

    def act(self, name: str, *values: object) -> None:
        self.world.clock.advance(60)
        getattr(self, name)(*values)

    def at(self, number: int) -> int | None:
        return number % len(self.events) if self.events else None

    def do(self, actor: str, aliases: list[str]) -> None:
        others = [alias for alias in aliases if alias != actor]
        number = len(self.events)
        at = self.world.now
        event = self.world.event(
            actor=actor,
            aliases=tuple(others),
            key=f"key {number}",
            thing=f"thing {number}",
            occurred_at=at,
        )
        self.world.clock.advance(1)
        self.events.append(event)
        self.world.receive(replace(event, received_at=self.world.now), rules=(RULE,))
        self.model.do(actor, others)

    def undo(self, actor: str) -> None:
        self.world.receive(self.world.event(actor=actor, undone=True))
        self.model.undo(actor)

    def remove(self, number: int, is_by_author: bool) -> None:
        which = self.at(number)
        if which is None:
            return
        attempt = self.model.tries[which]
        event = self.world.event(
            actor=attempt.account if is_by_author else None, undone=True, thing=f"thing {which}"
        )
        self.world.receive(event)
        self.model.remove(attempt)

    def show(self, number: int) -> None:
        which = self.at(number)
        if which is None:
            return
        told = replace(self.events[which], occurred_at=self.world.now, aliases=())
        self.world.clock.advance(1)
        self.world.receive(replace(told, received_at=self.world.now), rules=(RULE,))
        self.model.show(self.model.tries[which])

    def repeat(self, number: int) -> None:
        which = self.at(number)
        if which is not None:
            event = replace(self.events[which], received_at=self.world.now)
            self.world.receive(event, rules=(RULE,))

    def join(self, one: str, other: str) -> None:
        self.world.join(one, other)
        self.model.join(one, other)

    def move(self, one: str, other: str) -> None:
        self.world.join(one, other, replaced=True)
        self.model.move(one, other)

    def link(self, one: str, customer: str) -> None:
        outcome, _ = self.world.link(one, customer)
        assert (outcome is not Linked.TAKEN) == self.model.link(one, customer)

    def unlink(self, one: str) -> None:
        self.world.unlink(one)
        self.model.unlink(one)

    def pay(self) -> None:
        self.world.clock.advance(3_601)
        self.world.strike()
        for attempt in self.world.all(AttemptRow, AttemptRow.state == "due"):
            self.world.submit(attempt.id, Outcome.ACCEPTED)
        self.model.pay()

    def check(self) -> None:
        rows = self.world.all(AttemptRow)
        told = [
            Try(
                account=row.account_id,
                state=row.state,
                customer=row.customer_id,
                is_undone=row.undone_at is not None,
            )
            for row in rows
        ]
        assert told == self.model.tries
        linked = {row.account_id: row.customer_id for row in self.world.all(IdentityRow)}
        assert linked == {i: customer for i, (_, customer) in self.model.links.items()}
        paid = [one.customer for one in told if one.state in LIVE]
        assert len(paid) == len(set(paid))


@settings(max_examples=60, deadline=None)
@given(begin=st.sampled_from(BEGINNINGS), acts=st.lists(ACTS, max_size=10))
def test_every_sequence_ends_as_the_model_says(
    world: World, begin: list[Any], acts: list[Any]
) -> None:
    world.do(empty)
    run = Run(world)

    for act in [*begin, *acts]:
        run.act(*act)

        run.check()
