"""Whose account is this?"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from app.domain.attempts import State
from app.domain.evidence import Evidence
from app.steps.accounts import Account, Id, Known, locked, look
from app.steps.audit import Change, record
from app.steps.earning import ALREADY_AWARDED, earn, earn_all
from app.steps.ledger import insert_new
from app.steps.moves import move
from app.steps.proving import checking_claims, stricter
from app.storage.tables import ATTEMPTS, IDENTITIES, AttemptRow, IdentityRow
from app.storage.vault import vault_of

_GIVE_EVENT_AWAY = (
    update(AttemptRow).where(AttemptRow.id == bindparam("this")).values(event_id=None)
)


@dataclass(frozen=True, slots=True)
class Identity:
    """The link of a platform account to a customer."""

    platform: str
    account_id: str
    customer_id: str
    handle: str | None = None
    email: str | None = None
    mobile: str | None = None


class Linked(Enum):
    CREATED = "created"
    UPDATED = "updated"
    TAKEN = "taken"  # another customer has this account


def link(
    connection: Connection, identity: Identity, caused_by: str, now: datetime
) -> tuple[Linked, int]:
    """Link an account, and release the attempts that waited for it; how many were released.

    An account that is linked to another customer stays so, by whichever of its ids: `Linked.TAKEN`.
    """
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
    """The link of an account, with its contacts opened; None when nobody has it.

    Where this id has no link of its own, that of another id of the account.
    """
    this = platform, account_id
    row = look(connection, [this]).link_of(this)
    return row and vault_of(connection).open_row(IDENTITIES, row)


def unlink(
    connection: Connection, platform: str, account_id: str, caused_by: str, now: datetime
) -> bool:
    """Forget a link, by all ids of the account; False when there was none.

    Awards already in the ledger stay there.
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
    """How the audit log names an account."""
    return f"{platform}/{account_id}"


def _is(platform: str, account_id: str) -> Any:
    return (IdentityRow.platform == platform) & (IdentityRow.account_id == account_id)


def _upsert(connection: Connection, identity: Identity, now: datetime) -> Linked:
    row = vault_of(connection).seal_row(
        IDENTITIES, {**asdict(identity), "created_at": now, "updated_at": now}
    )
    contact = {name: row[name] for name in ("handle", "email", "mobile", "updated_at")}
    # Not the row count: SQLAlchemy keeps none of an INSERT on PostgreSQL.
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
    """Pay what waits under any id of an account, if a customer is linked by one of them."""
    link = known.link_of(one)
    if link is None:
        return
    row = vault_of(connection).open_row(IDENTITIES, link)
    linked = Identity(
        row.platform, row.account_id, row.customer_id, email=row.email, mobile=row.mobile
    )
    _release(connection, _unlinked(connection, known.account_of(one)), linked, caused_by, now)


def _unlinked(connection: Connection, account: Account) -> list[Row[Any]]:
    """The attempts that wait for this account to be linked, oldest first, locked."""
    statement = (
        select(AttemptRow.__table__)
        .where(
            AttemptRow.platform == account.platform,
            AttemptRow.account_id.in_(account.ids),
            AttemptRow.state == State.UNLINKED,
        )
        .order_by(AttemptRow.id)
        .with_for_update()
    )
    return list(connection.execute(statement))


def _release(
    connection: Connection,
    waiting: Sequence[Row[Any]],
    identity: Identity,
    caused_by: str,
    now: datetime,
) -> None:
    """Pay the waiting attempts; where the customer also claimed the same, pay the claim instead."""
    claims = checking_claims(connection, [identity.customer_id]) if waiting else []
    rest = []
    for attempt in waiting:
        claim = next((one for one in claims if _is_proven_by(one, attempt)), None)
        if claim is None:
            rest.append(attempt)
        else:
            claims.remove(claim)
            _confirm(connection, claim, attempt, identity, caused_by, now)
    earn_all(
        connection,
        rest,
        {attempt.id: _contacts(connection, attempt, identity) for attempt in rest},
        customer_id=identity.customer_id,
        reason="the account was linked",
        caused_by=caused_by,
        now=now,
    )


def _is_proven_by(claim: Row[Any], attempt: Row[Any]) -> bool:
    return (
        claim.challenge_id == attempt.challenge_id
        and (claim.platform, claim.action) == (attempt.platform, attempt.action)
        and claim.target in (None, attempt.target)
    )


def _contacts(connection: Connection, attempt: Row[Any], identity: Identity) -> dict[str, Any]:
    contacts = {"email": identity.email, "mobile": identity.mobile}
    sealed = vault_of(connection).seal_row(ATTEMPTS, {"id": attempt.id, **contacts})
    return {name: sealed[name] for name in contacts}


def _confirm(
    connection: Connection,
    claim: Row[Any],
    attempt: Row[Any],
    identity: Identity,
    caused_by: str,
    now: datetime,
) -> None:
    """Let a waiting attempt's event prove a claim, which is paid in its place."""
    # The event goes with whose award it is now: what takes it back must find that attempt.
    connection.execute(_GIVE_EVENT_AWAY, {"this": attempt.id})
    state = earn(
        connection,
        claim,
        customer_id=identity.customer_id,
        reason="confirmed by the platform's own event, now that the account is linked",
        caused_by=caused_by,
        now=now,
        event_id=attempt.event_id,
        account_id=attempt.account_id,
        evidence=Evidence.SIGNED,
        occurrence=attempt.occurrence,
        source=attempt.source,
        target=attempt.target,
        **stricter(claim, attempt),
    )
    move(
        connection,
        attempt.id,
        State.UNLINKED,
        State.DUPLICATE,
        reason=ALREADY_AWARDED
        if state is State.DUPLICATE
        else f"confirmed the claim {claim.id}, which is {state} instead",
        caused_by=caused_by,
        now=now,
        customer_id=identity.customer_id,
    )
