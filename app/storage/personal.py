"""How much each column reveals about a person. A test fails for columns that are not listed."""

from collections.abc import Mapping
from enum import StrEnum

from app.storage.tables import Base


class Tells(StrEnum):
    """How much a column reveals to a reader of the database without our keys."""

    NOTHING = "nothing"  # about a person: our own words and numbers, times, random ids
    SEALED = "sealed"  # personal, and encrypted
    HASH = "hash"  # a keyed hash, which recognises a value without revealing it
    PSEUDONYM = "pseudonym"  # an id of a person in another system; needed for searches
    WORDS = "words"  # text by us or by a machine, which may contain a pseudonym
    STAFF = "staff"  # names an operator or an API key of the installation


N, S, H, P, W, A = Tells
COLUMNS: Mapping[str, Mapping[str, Tells]] = {
    "events": {
        "id": N,
        "source": N,
        "key_hash": H,
        # Where a platform has no key, ours is made of the account, the target and the time.
        "key": P,
        "platform": N,
        "action": N,
        "undone": N,
        "undoes": P,
        "actor": P,
        "actor_handle": S,
        "handle_hash": H,
        "target": P,
        "thing": P,
        "occurred_at": N,
        "retold_at": N,
        "received_at": N,
        "payload": S,
        "fitted": N,
        "reason": N,
    },
    "attempts": {
        "id": N,
        "event_id": N,
        "token_id": N,
        "state": N,
        "reason": W,
        "challenge_id": N,
        "customer_id": P,
        "email": S,
        "mobile": S,
        "source": N,
        "platform": N,
        "action": N,
        "account_id": P,
        # The customer writes the target of a claim: the address of their post, for example.
        "target": P,
        "evidence": N,
        "occurrence": P,
        "hold_seconds": N,
        "bar_after_undo": N,
        "undone_at": N,
        "claimed": S,
        "erased_at": N,
        "created_at": N,
        "updated_at": N,
        "next_at": N,
        "lease_until": N,
        "fence": N,
        "round": N,
        "event_attempt_id": N,
        "nudged_at": N,
        "told_at": N,
    },
    "awards": {
        "id": N,
        "challenge_id": N,
        "customer_hash": H,
        "account_hash": H,
        "attempt_id": N,
        "created_at": N,
    },
    "bars": {
        "id": N,
        "challenge_id": N,
        "platform": N,
        "account_hash": H,
        "customer_hash": H,
        "attempt_id": N,
        "created_at": N,
    },
    "transitions": {
        "id": N,
        "attempt_id": N,
        "at": N,
        "from_state": N,
        "to_state": N,
        "reason": W,
        "caused_by": A,
    },
    "submissions": {
        "id": N,
        "attempt_id": N,
        "fence": N,
        "round": N,
        "worker": N,
        "started_at": N,
        "ended_at": N,
        "outcome": N,
        "resolved": N,
        "status": N,
        "code": N,
        "message": W,
        "request_id": W,
    },
    "baselines": {"attempt_id": N, "achieved": N, "read_at": N},
    "grants": {
        "attempt_id": N,
        "customer_id": P,
        "proof": N,
        "reference": P,
        "granted_at": N,
        "points": N,
        # Written by the version before, until it is sealed.
        "coupon": P,
        "coupon_code": S,
        "seen_at": N,
    },
    "reads": {"id": N, "kind": N, "count": N, "started_at": N, "until": N},
    "reading": {"kind": N, "slow_until": N, "slow_count": N},
    "identities": {
        "platform": N,
        "account_id": P,
        "customer_id": P,
        "handle": S,
        "email": S,
        "mobile": S,
        "created_at": N,
        "updated_at": N,
    },
    "account_keys": {
        "id": N,
        "platform": N,
        "key": P,
        "account_key": P,
        "account_id": P,
        "known_at": N,
    },
    "api_keys": {
        "id": N,
        "name": A,
        "role": N,
        "digest": H,
        "created_at": N,
        "revoked_at": N,
    },
    "forwarding": {
        "id": N,
        "paused_at": N,
        "pause_reason": W,
        "probe_at": N,
        "slow_until": N,
        "slow_count": N,
        "worker_seen_at": N,
        "worker_alive_at": N,
        "restored_at": N,
        "restored_to": N,
    },
    "sources": {
        "source": N,
        "callback_at": N,
        "handshake_at": N,
        "refused_at": N,
        "refusal_kind": N,
        "refusal_reason": N,
        "refusals_in_a_row": N,
        "notice_at": N,
        "notice": N,
    },
    "source_reasons": {"source": N, "reason": N, "count": N, "first_at": N, "last_at": N},
    # Ids of groups and the like.
    "source_changes": {"source": N, "old_id": N, "new_id": N, "at": N},
    "source_secrets": {"source": N, "mark": H, "fitted_at": N},
    "source_minutes": {"source": N, "minute": N, "believed": N, "refused": N},
    "subscriptions": {
        "source": N,
        "topic": N,
        "granted_at": N,
        "lapses_at": N,
        "asked_at": N,
        "answer": N,
    },
    "audit": {
        "id": N,
        "at": N,
        "caused_by": A,
        "change": N,
        "subject": P,
        "customer_id": P,
        "details": P,
    },
    "audit_door": {"id": N},
    "bulk_jobs": {
        "id": N,
        "act": N,
        # The version before stored the filter's customer here until the job ended.
        "wanted": P,
        "named": S,
        "caused_by": A,
        "created_at": N,
        "before_id": N,
        "matched": N,
        "visited": N,
        "done": N,
        "stopped": N,
        "ended_at": N,
    },
    "alerts": {
        "id": N,
        "kind": N,
        "subject": N,
        "text": N,
        "raised_at": N,
        "cleared_at": N,
    },
    "alert_notices": {
        "id": N,
        "alert_id": N,
        "what": N,
        "receiver": N,
        "made_at": N,
        "next_at": N,
        "tries": N,
        "sent_at": N,
        "problem": N,
    },
    "alert_watch": {"id": N, "next_look_at": N},
    "purges": {"kind": N, "until_id": N},
    "erasures": {
        "id": N,
        "customer_hash": H,
        "customer_id": S,
        "caused_by": A,
        "requested_at": N,
        "completed_at": N,
        "attempts": N,
        "events": N,
        "identities": N,
    },
    "hash_keys": {"id": N, "value": S, "created_at": N},
}


def unlisted() -> set[str]:
    """Return the columns missing from `COLUMNS`, and its entries that are not columns."""
    there = {f"{t.name}.{c.name}" for t in Base.metadata.sorted_tables for c in t.columns}
    listed = {f"{table}.{column}" for table, columns in COLUMNS.items() for column in columns}
    return there ^ listed
