"""Stores verified events once, with the attempts that they earn."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from app.domain.attempts import State
from app.domain.clock import new_id
from app.domain.events import Event
from app.domain.evidence import Evidence
from app.domain.rules import Rule
from app.steps.accounts import Account, Id, Known, look
from app.steps.arrivals import MAX_REASON as MAX_REASON
from app.steps.arrivals import NO_RULE as NO_RULE
from app.steps.arrivals import Arrival as Arrival
from app.steps.awards import ALREADY_AWARDED, BARRED
from app.steps.former_keys import FormerKeys
from app.steps.joining import Joining, join, joinings_of
from app.steps.ledger import Award, award_rows, earned_state, enter, is_barred
from app.steps.locks import lock_accounts
from app.steps.prefetch import Prefetched, prefetch
from app.steps.proving import Fulfilment, claims_since, confirm, proven_by, unproven_claims
from app.steps.retelling import retell
from app.steps.transitions import record_transitions, transition
from app.steps.undo import UNDONE_BEFORE, authors, names_of, undo, undone_before, who_acted
from app.storage.bulk import insert_if_all_new, insert_rows
from app.storage.hashes import Hashes, hashes_of
from app.storage.pipeline import has_pipeline, in_one_trip
from app.storage.tables import (
    ATTEMPTS,
    EVENTS,
    IDENTITIES,
    AttemptRow,
    AwardRow,
    EventRow,
    TransitionRow,
)
from app.storage.vault import Vault, vault_of

EARNED = "earned"
_EVENT_FIELDS = [name for name in Event.__slots__ if name in EventRow.__table__.columns]
NOT_LINKED = "no customer is linked to this account yet"

_BLANK_ATTEMPT: dict[str, Any] = {
    **{column.key: None for column in AttemptRow.__table__.columns},
    "fence": 0,
    "round": 0,
    "bar_after_undo": False,
}


@dataclass(frozen=True, slots=True)
class Receipt:
    """The result for one item. A known event creates no attempts: it did so the first time."""

    is_new: bool
    states: tuple[State, ...] = ()
    is_matched: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An attempt that is about to be written. ``link`` is the customer's link or None."""

    id: str
    event_id: str
    event: Event
    rule: Rule
    link: Any
    account: Account
    unlinked_until: datetime
    occurrence: str
    undone_at: datetime | None = None

    @property
    def fulfilment(self) -> Fulfilment | None:
        """What the event proves. None: there is no link, or the action was undone."""
        if self.link is None or self.undone_at is not None:
            return None
        event, rule = self.event, self.rule
        return Fulfilment(
            event_id=self.event_id,
            customer_id=self.link.customer_id,
            challenge_id=rule.challenge_id,
            source=event.source,
            platform=event.platform,
            action=event.action,
            account_id=event.actor,
            targets=event.targets,
            happened_at=event.happened_at,
            occurrence=self.occurrence,
            hold_seconds=rule.hold_seconds,
            bar_after_undo=rule.bar_after_undo,
        )


def receive(connection: Connection, items: Sequence[Arrival | Joining]) -> Sequence[Receipt]:
    """Write events, attempts and awards in one transaction; return a receipt for each item.

    Items may come from several requests: the number of statements does not grow with them. A
    unique constraint leaves out known events. Ids of one account are joined before anything is
    earned.
    """
    if not items:
        return []
    # 1. Sort the events. All transactions use the same order, so they cannot deadlock.
    arrivals = {i: item for i, item in enumerate(items) if isinstance(item, Arrival)}
    joinings = [item for item in items if isinstance(item, Joining)]
    order = sorted(arrivals, key=lambda i: (arrivals[i].event.source, arrivals[i].event.key))
    ids = {i: new_id(arrivals[i].event.received_at) for i in order}
    arrived = {ids[i]: arrivals[i] for i in order}
    event_rows = _event_rows(connection, arrived)
    # 2. Collect the accounts to lock. All are locked at once: two steps would be two orders.
    accounts = _accounts(arrivals.values()) | {one for join in joinings for one in join.ids}
    beside: Collection[Id] = ()
    if has_pipeline(connection):
        accounts |= _whole_accounts(connection, arrivals.values(), joinings)
        beside = _beside_accounts(arrivals.values())
    # 3. Write the events, lock the accounts, and read what is known of them.
    former = FormerKeys.of(hashes_of(connection), arrived)
    since = _claims_since(items)
    early = prefetch(connection, event_rows, accounts, former, since, beside)
    # 4. Keep the events that are new.
    new_ids: Collection[str] = arrived.keys()
    if early.new_events < len(event_rows):
        new_ids = _known_of(connection, arrived)
    fresh = {event_id: arrived[event_id] for event_id in arrived if event_id in new_ids}
    # 5. Join the ids of accounts, then drop events that are known under a former key.
    known = _joined(connection, fresh, joinings, accounts, early.known)
    fresh = former.without_known(fresh, early.by_former_key)
    # 6. Create attempts, undo actions, and handle known events that are true again.
    states = _make_attempts(connection, fresh, early, known)
    undo(connection, {i: a.event for i, a in fresh.items() if a.event.undone}, known)
    retell(connection, [arrivals[i] for i in sorted(arrivals) if ids[i] not in fresh])
    return [
        Receipt(
            ids.get(i) in fresh,
            tuple(states.get(ids.get(i, ""), ())),
            i not in arrivals or bool(arrivals[i].rules),
        )
        for i in range(len(items))
    ]


def _claims_since(items: Iterable[Arrival | Joining]) -> datetime:
    """The earliest time of a claim that can be about one of these items."""
    times = (one.event.happened_at if isinstance(one, Arrival) else one.at for one in items)
    return claims_since(min(times))


def _accounts(arrivals: Iterable[Arrival]) -> set[Id]:
    """Return every account id that may earn, lose or join something."""
    return {
        (a.event.platform, account_id)
        for a in arrivals
        if a.rules or a.event.undone or a.event.aliases
        for account_id in a.event.ids
    }


def _whole_accounts(
    connection: Connection, arrivals: Collection[Arrival], joinings: Sequence[Joining]
) -> set[Id]:
    """Return all known ids of accounts that need a lock on more than the shown id.

    One statement, and only if ids are joined or actions are undone.
    """
    undone = [a.event for a in arrivals if a.event.undone]
    shown = _accounts(a for a in arrivals if a.event.undone or a.event.aliases)
    shown |= authors(connection, undone) | {one for join in joinings for one in join.ids}
    return look(connection, shown).ids_of(shown)


def _beside_accounts(arrivals: Iterable[Arrival]) -> set[Id]:
    """Return the names to lock besides accounts.

    These are the names in removals that have no actor, and the names of actions whose rule needs
    to know of undoing. A removal and its action then see each other.
    """
    return {
        name
        for a in arrivals
        if (a.event.undone and a.event.actor is None) or any(r.minds_undoing for r in a.rules)
        for name in names_of(a.event)
    }


def _joined(
    connection: Connection,
    fresh: Mapping[str, Arrival],
    joinings: Sequence[Joining],
    locked_ids: set[Id],
    known: Known,
) -> Known:
    """Join the ids that arrived together, and return what is then known of the accounts."""
    accounts = _accounts(fresh.values()) | {one for join in joinings for one in join.ids}
    more = [one for a in fresh.values() for one in joinings_of(a.event)]
    if join(connection, [*joinings, *more], known):
        known = look(connection, accounts)
    undone = _accounts(a for a in fresh.values() if a.event.undone)
    if known.ids_of(undone) <= locked_ids:
        return known
    # Another transaction may use other ids of the account for the action that is undone here.
    lock_accounts(connection, known.ids_of(undone))
    return look(connection, accounts)


def _event_rows(connection: Connection, arrivals: Mapping[str, Arrival]) -> list[dict[str, Any]]:
    vault, hashes = vault_of(connection), hashes_of(connection)
    return [_event_row(vault, hashes, event_id, arrival) for event_id, arrival in arrivals.items()]


def _known_of(connection: Connection, ids: Iterable[str]) -> set[str]:
    return set(connection.execute(select(EventRow.id).where(EventRow.id.in_(ids))).scalars())


def _event_row(vault: Vault, hashes: Hashes, event_id: str, arrival: Arrival) -> dict[str, Any]:
    """The event's row: payload and handle are sealed, and hashes find it again.

    An excluded event stores no payload. Its key is hashed in another way, so the same action is
    new if it arrives again and can earn something.
    """
    event = arrival.event
    handle = event.actor_handle
    row = {"id": event_id, **{name: getattr(event, name) for name in _EVENT_FIELDS}}
    row["key_hash"] = hashes.event_key(event.key)
    row["retold_at"] = event.shown_at
    row["handle_hash"] = None if handle is None else hashes.handle(handle)
    row["fitted"] = len(arrival.rules)
    row["reason"] = arrival.reason
    if event.excluded is not None:
        row["key_hash"] = hashes.excluded_event_key(event.key)
        row["payload"] = None
    return vault.seal_row(EVENTS, row)


def _make_attempts(
    connection: Connection, fresh: Mapping[str, Arrival], early: Prefetched, known: Known
) -> dict[str, list[State]]:
    earning = {i: a for i, a in fresh.items() if a.rules and not a.event.undone}
    if not earning:
        return {}
    drafts = [
        Draft(
            id=new_id(arrival.event.received_at),
            event_id=event_id,
            event=arrival.event,
            rule=rule,
            link=link,
            account=known.account_of(who_acted(arrival.event)),
            unlinked_until=arrival.unlinked_until,
            occurrence=rule.occurrence_of(arrival.event),
        )
        for event_id, arrival in earning.items()
        for link in [_opened_link(connection, known, arrival.event)]
        for rule in arrival.rules
    ]
    states: dict[str, list[State]] = {}
    drafts = _with_undoings(connection, drafts, known)
    rest = drafts
    if early.has_claims:
        since = _claims_since(earning.values())
        rest = _confirm_claims(connection, drafts, since, states)
    _write_drafts(connection, rest, states)
    return states


def _opened_link(connection: Connection, known: Known, event: Event) -> Any:
    link = known.link_of(who_acted(event))
    return link and vault_of(connection).open_row(IDENTITIES, link)


def _with_undoings(connection: Connection, drafts: list[Draft], known: Known) -> list[Draft]:
    """Mark the drafts whose action was undone before its event arrived, if the rule needs it."""
    minding = {draft.event_id: draft.event for draft in drafts if draft.rule.minds_undoing}
    undone_at = undone_before(connection, minding, known)
    if not undone_at:
        return drafts
    return [
        replace(draft, undone_at=undone_at.get(draft.event_id))
        if draft.rule.minds_undoing
        else draft
        for draft in drafts
    ]


def _confirm_claims(
    connection: Connection,
    drafts: Sequence[Draft],
    since: datetime,
    states: dict[str, list[State]],
) -> list[Draft]:
    """Prove claims by these events. Return the drafts that create attempts of their own."""
    customers = {draft.link.customer_id for draft in drafts if draft.link}
    claims = unproven_claims(connection, customers, since)
    rest = []
    for draft in drafts:
        proof = draft.fulfilment if claims else None
        claim = proven_by(connection, claims, proof) if proof is not None else None
        if claim is None or proof is None:
            rest.append(draft)
            continue
        claims.remove(claim)
        state = confirm(
            connection,
            claim,
            proof,
            reason="confirmed by the platform's own event",
            caused_by=f"source:{draft.event.source}",
            now=draft.event.received_at,
        )
        states.setdefault(draft.event_id, []).append(state)
    return rest


def _write_drafts(
    connection: Connection, drafts: Sequence[Draft], states: dict[str, list[State]]
) -> None:
    if not drafts:
        return
    now = max(draft.event.received_at for draft in drafts)
    awards = {
        draft.id: _award(draft, draft.link)
        for draft in drafts
        if draft.link and draft.undone_at is None
    }
    won, made = _won_and_written(connection, drafts, awards, now)
    if made is None:
        barred = {i for i in awards.keys() - won if is_barred(connection, awards[i])}
        made = _drawn_up(vault_of(connection), drafts, won, barred)
        insert_rows(connection, AttemptRow, made.attempts)
        record_transitions(connection, made.timeline)
    for draft, row in zip(drafts, made.attempts, strict=True):
        states.setdefault(draft.event_id, []).append(row["state"])


@dataclass(frozen=True, slots=True)
class _Made:
    """The rows of some drafts, in their order."""

    attempts: list[dict[str, Any]]
    timeline: list[dict[str, Any]]


def _drawn_up(vault: Vault, drafts: Sequence[Draft], won: set[str], barred: set[str]) -> _Made:
    made = _Made([], [])
    for draft in drafts:
        state, reason, next_at = _entry(draft, draft.id in won, draft.id in barred)
        made.attempts.append(_attempt(vault, draft, state, reason, next_at))
        at = draft.event.received_at
        by = f"source:{draft.event.source}"
        made.timeline.append(transition(draft.id, None, state, reason, by, at))
    return made


def _won_and_written(
    connection: Connection, drafts: Sequence[Draft], awards: Mapping[str, Award], now: datetime
) -> tuple[set[str], _Made | None]:
    """Enter the awards into the ledger. If all are new, which is usual, write the other rows too.

    Returns the attempts whose awards are new, and the written rows. On PostgreSQL this is one
    statement.
    """
    is_at_once = bool(awards) and has_pipeline(connection)
    rows = award_rows(connection, list(awards.values()), now) if is_at_once else None
    if rows is None:
        return enter(connection, list(awards.values()), now), None
    made = _drawn_up(vault_of(connection), drafts, set(awards), set())
    ledger, attempts = (AwardRow, rows), (AttemptRow, made.attempts)
    statement = insert_if_all_new(
        connection,
        ledger,
        "attempt_id",
        attempts,
        (TransitionRow, made.timeline),
    )
    if statement is None:
        return enter(connection, list(awards.values()), now), None
    (reply,) = in_one_trip(connection, [statement])
    won = {str(attempt_id) for (attempt_id,) in reply.rows}
    return won, made if len(won) == len(rows) else None


def _award(draft: Draft, link: Any) -> Award:
    return Award(
        attempt_id=draft.id,
        challenge_id=draft.rule.challenge_id,
        customer_id=link.customer_id,
        platform=draft.event.platform,
        account_id=draft.event.actor,
        occurrence=draft.occurrence,
        bar_after_undo=draft.rule.bar_after_undo,
        account_keys=draft.account.keys,
        other_occurrences=draft.rule.other_occurrences_of(draft.event),
    )


def _entry(draft: Draft, won: bool, barred: bool) -> tuple[State, str, datetime | None]:
    if draft.undone_at is not None:
        return State.WITHDRAWN, UNDONE_BEFORE, None
    if draft.link is None:
        return State.UNLINKED, NOT_LINKED, draft.unlinked_until
    if barred:
        return State.REFUSED, BARRED, None
    if not won:
        return State.DUPLICATE, ALREADY_AWARDED, None
    hold = draft.rule.hold_seconds
    return earned_state(hold), EARNED, draft.event.received_at + timedelta(seconds=hold)


def _attempt(
    vault: Vault, draft: Draft, state: State, reason: str, next_at: datetime | None
) -> dict[str, Any]:
    event, link = draft.event, draft.link
    return new_attempt(
        vault,
        id=draft.id,
        event_id=draft.event_id,
        state=state,
        reason=reason,
        challenge_id=draft.rule.challenge_id,
        customer_id=link.customer_id if link else None,
        email=link.email if link else None,
        mobile=link.mobile if link else None,
        source=event.source,
        platform=event.platform,
        action=event.action,
        account_id=event.actor,
        target=event.target,
        evidence=Evidence.SIGNED,
        occurrence=draft.occurrence,
        hold_seconds=draft.rule.hold_seconds,
        bar_after_undo=draft.rule.bar_after_undo,
        undone_at=draft.undone_at,
        created_at=event.received_at,
        updated_at=event.received_at,
        next_at=next_at,
    )


def new_attempt(vault: Vault, **values: Any) -> dict[str, Any]:
    """Return a complete, sealed attempt row. Bulk inserts need a value for every column."""
    return vault.seal_row(ATTEMPTS, {**_BLANK_ATTEMPT, **values})
