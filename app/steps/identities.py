"""Links platform accounts to customers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from app.domain.attempts import State
from app.steps.accounts import Account, Id, Known, locked, look
from app.steps.audit import Change, record
from app.steps.awards import ALREADY_AWARDED, earn_all
from app.steps.ledger import insert_new
from app.steps.locks import lock_customer
from app.steps.proving import Fulfilment, claims_since, confirm, proven_by, unproven_claims
from app.steps.transitions import change_state
from app.storage.tables import ATTEMPTS, IDENTITIES, AttemptRow, EventRow, IdentityRow
from app.storage.vault import vault_of

_GIVE_EVENT_AWAY = (
    update(AttemptRow).where(AttemptRow.id == bindparam("this")).values(event_id=None)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A link of a platform account to a customer."""

    platform: str
    account_id: str
    customer_id: str
    handle: str | None = None
    email: str | None = None
    mobile: str | None = None


class Linked(Enum):
    """The result of linking an account."""

    CREATED = "created"
    UPDATED = "updated"
    TAKEN = "taken"  # the account is linked to another customer


def link(
    connection: Connection, identity: Identity, caused_by: str, now: datetime
) -> tuple[Linked, int]:
    """Link an account and release the attempts that waited for it; return their number.

    If any id of the account is linked to another customer, nothing changes: `Linked.TAKEN`.
    """
    lock_customer(connection, identity.customer_id)
    this = identity.platform, identity.account_id
    known = locked(connection, [this])
    linked = known.link_of(this)
    if linked is not None and linked.customer_id != identity.customer_id:
        return Linked.TAKEN, 0
    outcome = _upsert(connection, identity, now)
    if outcome is Linked.TAKEN:
        return outcome, 0
    waiting = _unlinked(connection, known.account_of(this))
    _release(connection, waiting, identity, caused_by, now)
    record(
        connection,
        Change.IDENTITY_LINKED,
        by=caused_by,
        now=now,
        subject=named(identity.platform, identity.account_id),
        customer_id=identity.customer_id,
        outcome=outcome.value,
        released=len(waiting),
    )
    return outcome, len(waiting)


def find(connection: Connection, platform: str, account_id: str) -> Any:
    """Return the link of an account with its contacts opened, or None.

    If this id has no link, the link of another id of the account is returned.
    """
    this = platform, account_id
    row = look(connection, [this]).link_of(this)
    return row and vault_of(connection).open_row(IDENTITIES, row)


def of_customer(connection: Connection, customer_id: str) -> list[Any]:
    """Return the links of a customer with their contacts opened."""
    statement = select(IdentityRow.__table__).where(IdentityRow.customer_id == customer_id)
    vault = vault_of(connection)
    rows = connection.execute(statement.order_by(IdentityRow.platform, IdentityRow.account_id))
    return [vault.open_row(IDENTITIES, row) for row in rows]


def unlink(
    connection: Connection, platform: str, account_id: str, caused_by: str, now: datetime
) -> bool:
    """Delete the link of an account under all of its ids. False: there was none.

    Awards stay in the ledger.
    """
    this = platform, account_id
    known = locked(connection, [this])
    linked = known.link_of(this)
    if linked is None:
        return False
    forgotten = delete(IdentityRow).where(
        IdentityRow.platform == platform,
        IdentityRow.account_id.in_(known.account_of(this).ids),
        IdentityRow.customer_id == linked.customer_id,
    )
    for gone in connection.execute(forgotten.returning(IdentityRow.account_id)).scalars().all():
        record(
            connection,
            Change.IDENTITY_UNLINKED,
            by=caused_by,
            now=now,
            subject=named(platform, gone),
            customer_id=linked.customer_id,
        )
    return True


def named(platform: str, account_id: str) -> str:
    """The account's name in the audit log."""
    return f"{platform}/{account_id}"


def _is(platform: str, account_id: str) -> Any:
    return (IdentityRow.platform == platform) & (IdentityRow.account_id == account_id)


def _upsert(connection: Connection, identity: Identity, now: datetime) -> Linked:
    row = vault_of(connection).seal_row(
        IDENTITIES, {**asdict(identity), "created_at": now, "updated_at": now}
    )
    contact = {name: row[name] for name in ("handle", "email", "mobile", "updated_at")}
    # SQLAlchemy keeps no row count of an INSERT on PostgreSQL, so use the returned row.
    insert = insert_new(connection, IdentityRow, IdentityRow.account_id)
    if connection.execute(insert, row).first() is not None:
        return Linked.CREATED
    kept = connection.execute(
        update(IdentityRow)
        .where(
            _is(identity.platform, identity.account_id),
            IdentityRow.customer_id == identity.customer_id,
        )
        .values(contact)
    )
    return Linked.UPDATED if kept.rowcount == 1 else Linked.TAKEN


def release_waiting(
    connection: Connection, one: Id, known: Known, caused_by: str, now: datetime
) -> None:
    """Release the attempts that wait under any id of an account, if one of its ids is linked."""
    link = known.link_of(one)
    if link is None:
        return
    row = vault_of(connection).open_row(IDENTITIES, link)
    linked = Identity(
        platform=row.platform,
        account_id=row.account_id,
        customer_id=row.customer_id,
        email=row.email,
        mobile=row.mobile,
    )
    _release(connection, _unlinked(connection, known.account_of(one)), linked, caused_by, now)


def _unlinked(connection: Connection, account: Account) -> list[Row[Any]]:
    """Return and lock the attempts that wait for a link of this account, oldest first."""
    statement = (
        select(
            AttemptRow.__table__,
            EventRow.occurred_at.label("occurred_at"),
            EventRow.received_at.label("received_at"),
        )
        .outerjoin(EventRow, EventRow.id == AttemptRow.event_id)
        .where(
            AttemptRow.platform == account.platform,
            AttemptRow.account_id.in_(account.ids),
            AttemptRow.state == State.UNLINKED,
        )
        .order_by(AttemptRow.id)
        .with_for_update(of=AttemptRow)
    )
    return list(connection.execute(statement))


def _release(
    connection: Connection,
    waiting: Sequence[Row[Any]],
    identity: Identity,
    caused_by: str,
    now: datetime,
) -> None:
    """Let the waiting attempts earn. If one proves a claim, the claim earns instead."""
    claims = _claims(connection, waiting, identity)
    rest = []
    for attempt in waiting:
        proof = _fulfilment(attempt, identity) if claims else None
        claim = proven_by(connection, claims, proof) if proof is not None else None
        if claim is None or proof is None:
            rest.append(attempt)
        else:
            claims.remove(claim)
            _confirm(connection, claim, attempt, proof, caused_by, now)
    earn_all(
        connection,
        rest,
        {attempt.id: _contacts(connection, attempt, identity) for attempt in rest},
        customer_id=identity.customer_id,
        reason="the account was linked",
        caused_by=caused_by,
        now=now,
    )


def _claims(
    connection: Connection, waiting: Sequence[Row[Any]], identity: Identity
) -> list[Row[Any]]:
    if not waiting:
        return []
    since = claims_since(min(map(_happened_at, waiting)))
    return unproven_claims(connection, [identity.customer_id], since)


def _happened_at(attempt: Row[Any]) -> datetime:
    at: datetime = min(attempt.occurred_at, attempt.received_at)
    return at


def _fulfilment(attempt: Row[Any], identity: Identity) -> Fulfilment:
    return Fulfilment(
        event_id=attempt.event_id,
        customer_id=identity.customer_id,
        challenge_id=attempt.challenge_id,
        source=attempt.source,
        platform=attempt.platform,
        action=attempt.action,
        account_id=attempt.account_id,
        targets=(attempt.target,),
        happened_at=_happened_at(attempt),
        occurrence=attempt.occurrence,
        hold_seconds=attempt.hold_seconds,
        bar_after_undo=attempt.bar_after_undo,
    )


def _contacts(connection: Connection, attempt: Row[Any], identity: Identity) -> dict[str, Any]:
    contacts = {"email": identity.email, "mobile": identity.mobile}
    sealed = vault_of(connection).seal_row(ATTEMPTS, {"id": attempt.id, **contacts})
    return {name: sealed[name] for name in contacts}


def _confirm(
    connection: Connection,
    claim: Row[Any],
    attempt: Row[Any],
    proof: Fulfilment,
    caused_by: str,
    now: datetime,
) -> None:
    """Prove a claim with a waiting attempt's event. The claim earns instead of the attempt."""
    # The event moves to the claim: an undo of the event must find the attempt that has the award.
    connection.execute(_GIVE_EVENT_AWAY, {"this": attempt.id})
    state = confirm(
        connection,
        claim,
        proof,
        reason="confirmed by the platform's own event, now that the account is linked",
        caused_by=caused_by,
        now=now,
    )
    change_state(
        connection,
        attempt.id,
        State.UNLINKED,
        State.DUPLICATE,
        reason=ALREADY_AWARDED
        if state is State.DUPLICATE
        else f"confirmed the claim {claim.id}, which is {state} instead",
        caused_by=caused_by,
        now=now,
        customer_id=proof.customer_id,
    )
