"""Judge a callback as the service would."""

from dataclasses import dataclass, field
from typing import Any

from app.domain.clock import iso_utc
from app.domain.events import Event
from app.domain.nudges import Nudge
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Malformed, Reading, Refusal, Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The adapter's result. ``malformed``: the callback was verified but could not be read."""

    refused: str | None = None
    malformed: str | None = None
    reading: Reading = field(default_factory=Reading)
    answer: Reply | None = None

    @property
    def is_valid(self) -> bool:
        return self.refused is None


def judge(adapter: Adapter, callback: Callback) -> Verdict:
    """Check a callback in the web layer's order: size, handshake, signature, contents."""
    try:
        adapter.check_size(callback, of_any=len(callback.body))
        reply = adapter.handshake(callback)
        if reply is not None:
            return Verdict(reading=Reading(reply=reply, handshake=True), answer=reply)
        if callback.method != "POST":
            return Verdict(refused=f"this is not a handshake of {adapter.name}")
        adapter.verify(callback)
    except Refusal as refusal:
        return Verdict(refused=refusal.reason)
    try:
        reading = adapter.read(callback)
    except Malformed as refusal:
        return Verdict(malformed=refusal.reason)
    return Verdict(reading=reading, answer=reading.reply or adapter.accepted)


def event_json(event: Event) -> dict[str, Any]:
    return {
        "key": event.key,
        "platform": event.platform,
        "action": event.action,
        "undone": event.undone,
        "actor": event.actor,
        "actorHandle": event.actor_handle,
        "target": event.target,
        "occurredAt": iso_utc(event.occurred_at),
    }


def nudge_json(nudge: Nudge) -> dict[str, Any]:
    return {
        "customerId": nudge.customer_id,
        "challengeId": nudge.challenge_id,
        "isProof": nudge.is_proof,
    }


def described(nudge: Nudge) -> str:
    """Describe a nudge: the customer and its effect."""
    named = nudge.challenge_id is not None
    what = f"the reward of campaign {nudge.challenge_id}" if named else "the rewards"
    proof = ", and believe this where Gameball's reads cannot tell" if nudge.is_proof else ""
    return f"look now at {what} of {nudge.customer_id}{proof}"


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    reading, answer = verdict.reading, verdict.answer
    return {
        "valid": verdict.is_valid,
        "reason": verdict.refused,
        "malformed": verdict.malformed,
        "handshake": reading.handshake,
        "notice": reading.notice,
        "answer": answer
        and {"status": answer.status, "body": answer.body, "contentType": answer.content_type},
        "events": [event_json(event) for event in reading.events],
        "nudges": [nudge_json(nudge) for nudge in reading.nudges],
        "ignored": list(reading.ignored),
    }
