"""Attempts and events as the API returns them."""

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, NoReturn, TypeVar

from pydantic import Field, WithJsonSchema
from pydantic.fields import FieldInfo

from app.domain.answers import Outcome
from app.domain.attempts import State
from app.domain.confirmation import Proof
from app.domain.evidence import Evidence
from app.domain.roles import INCLUDES, Role
from app.schemas.attempt_lines import plain_number
from app.schemas.fields import Id, Schema
from app.steps.events import Made
from app.steps.history import Whole
from app.steps.holders import HeldAs

MAX_DEPTH = 100
# The role that may see personal data, and the mark of such a field in the OpenAPI document.
SEES_PERSONAL = Role.OPERATOR
_NEEDS_ROLE = "x-needs-role"

# Points as Gameball counts them: 50 is written 50, and 0.5 is 0.5.
Points = Annotated[float | int, WithJsonSchema({"type": "number"})]

S = TypeVar("S", bound=Schema)


def sees_personal(role: Role) -> bool:
    return SEES_PERSONAL in INCLUDES[role]


def _personal(description: str) -> Any:
    """A field with personal data, or with something that only its owner may spend."""
    return Field(
        description=f"{description} Null to a {Role.VIEWER}.",
        json_schema_extra={_NEEDS_ROLE: SEES_PERSONAL},
    )


class Attempt(Schema):
    """One line of the history."""

    id: Id
    state: State
    reason: str | None = Field(description="Why it is in this state; for admins.")
    customer_id: str | None = Field(description="Null while no customer is linked.")
    challenge_id: int
    source: str | None
    platform: str
    action: str
    account_id: str | None = Field(description="The platform account that acted.")
    target: str | None
    evidence: Evidence
    occurrence: str = Field(description="Distinguishes repeated awards of one action.")
    created_at: datetime
    updated_at: datetime
    next_at: datetime | None = Field(description="When the timer of its state expires.")
    undone_at: datetime | None = Field(description="When the account took the action back.")
    erased_at: datetime | None = Field(description="When the customer was erased.")
    event_id: Id | None
    claimed: dict[str, Any] | None = _personal("The customer's own statement.")
    in_flight: bool = Field(description="A submission of it is running.")
    granted_points: Points | None = Field(description="What Gameball granted, if it said so.")
    granted_coupon: str | None = _personal("The code of the coupon that it granted.")


class Granted(Schema):
    """The reward that Gameball shows for the attempt."""

    at: datetime | None = Field(description="When Gameball granted it; null: it did not say.")
    points: Points | None = Field(description="Null: Gameball did not say.")
    coupon: str | None = _personal("The coupon's code.")
    proof: Proof = Field(description="What proves it.")
    reference: str = Field(description="Gameball's id of that record; or challenge:count.")
    seen_at: datetime


class Confirmation(Schema):
    """What is known about the reward of an attempt that Gameball accepted."""

    counted_before: int | None = Field(
        description="How often the customer had achieved it, read before the submission."
    )
    next_look_at: datetime | None = Field(description="When Gameball is read next.")
    granted: Granted | None


class AttemptPage(Schema):
    """Attempts, newest first."""

    items: list[Attempt]
    next_cursor: str | None = Field(description="Send it as `cursor`; null on the last page.")


class PayloadFormat(StrEnum):
    JSON = "json"
    TEXT = "text"
    BASE64 = "base64"


class Payload(Schema):
    """The platform's payload of one action: parsed, as text, or else as bytes in base64."""

    format: PayloadFormat
    content: Any


class Event(Schema):
    """One action, as the platform sent it."""

    id: Id
    source: str
    key: str | None = Field(
        description="Identifies it within its source. Null, like the fields below, once the event "
        "was stripped: then only a keyed hash of it is kept."
    )
    platform: str
    action: str
    undone: bool
    actor: str | None
    actor_handle: str | None = _personal("The actor's name on the platform.")
    target: str | None
    occurred_at: datetime
    received_at: datetime
    payload: Payload | None = _personal("Null once its retention period is over.")


class EventAttempt(Schema):
    """An attempt that an event created or proved."""

    id: Id
    challenge_id: int
    state: State


class ListedEvent(Schema):
    """One event from a platform, and what it earned."""

    id: Id
    source: str
    key: str | None = Field(description="Identifies it. Null once the event was stripped.")
    platform: str
    action: str
    undone: bool
    actor: str | None = Field(
        description="The account that acted; null when the platform did not name it."
    )
    actor_handle: str | None = _personal("The actor's name on the platform.")
    target: str | None
    occurred_at: datetime
    received_at: datetime
    matched: bool | None = Field(
        description="Whether it matched a rule when it arrived. Null: received by a version "
        "that did not record this, and without an attempt."
    )
    reason: str | None = Field(description="Why it matched none; for admins.")
    attempts: list[EventAttempt] = Field(description="The attempts that it created or proved.")


class EventPage(Schema):
    """Events, newest first."""

    items: list[ListedEvent]
    next_cursor: str | None = Field(description="Send it as `cursor`; null on the last page.")


class EventInFull(ListedEvent):
    """One event with what the platform sent."""

    payload: Payload | None = _personal(
        "Null once its retention period is over, or if it cannot earn anything."
    )


class Transition(Schema):
    """One change of state: when, why, and who or what caused it."""

    at: datetime
    from_state: State | None
    to_state: State
    reason: str | None
    caused_by: str


class Submission(Schema):
    """One call to Gameball, and its answer."""

    id: int
    started_at: datetime
    ended_at: datetime | None = Field(description="Null while it is in flight.")
    outcome: Outcome | None
    status: int | None
    code: int | None = Field(description="Gameball's code.")
    message: str | None
    request_id: str | None = Field(description="Gameball's id of the call, for its support.")
    resolved: bool = Field(description="A later lookup showed that it had not landed.")
    round: int = Field(description="How often people had replayed the attempt before.")
    worker: str


class HeldBy(Schema):
    """The attempt that holds the award of a duplicate."""

    attempt_id: Id | None = Field(description="Null: it was deleted since.")
    by: HeldAs = Field(
        description="Whose award it is: the same customer's, or another customer's by the same "
        "platform account's."
    )


class AttemptInFull(Attempt):
    """Everything about one attempt; timeline and submissions oldest first."""

    has_email: bool = Field(description="An email address is sent to Gameball.")
    has_mobile: bool = Field(description="A mobile number is sent to Gameball.")
    barring: bool = Field(
        description="It bars its account from the challenge; `lift-bar` ends that."
    )
    held_by: HeldBy | None = Field(
        description="The attempt that holds a duplicate's award. Null: in another state, for an "
        "erased customer, or once the award is free again."
    )
    event: Event | None = Field(description="The platform's event; null for a claim without one.")
    confirmation: Confirmation
    timeline: list[Transition]
    submissions: list[Submission]


def attempt(row: Any, to: Role) -> Attempt:
    """Return a line of the history, as this role may see it."""
    return _as_seen_by(to, Attempt(**_attempt_fields(row)))


def attempt_in_full(whole: Whole, to: Role) -> AttemptInFull:
    row = whole.attempt
    shown = AttemptInFull(
        **_attempt_fields(row),
        has_email=row.has_email,
        has_mobile=row.has_mobile,
        barring=whole.is_barring,
        held_by=whole.holder and HeldBy(attempt_id=whole.holder.attempt_id, by=whole.holder.by),
        event=None if whole.event is None else _event(whole.event),
        confirmation=_confirmation(whole),
        timeline=[Transition(**_fields(row, Transition)) for row in whole.timeline],
        submissions=[Submission(**_fields(row, Submission)) for row in whole.submissions],
    )
    return _as_seen_by(to, shown)


def listed_event(row: Any, attempts: Sequence[Made], to: Role) -> ListedEvent:
    """Return a line of the events, as this role may see it."""
    return _as_seen_by(to, ListedEvent(**_listed_fields(row, attempts)))


def event_in_full(row: Any, attempts: Sequence[Made], to: Role) -> EventInFull:
    sent = None if row.payload is None else payload(row.payload)
    return _as_seen_by(to, EventInFull(**_listed_fields(row, attempts), payload=sent))


def payload(raw: bytes) -> Payload:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return Payload(format=PayloadFormat.BASE64, content=base64.b64encode(raw).decode("ascii"))
    try:
        content = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return Payload(format=PayloadFormat.TEXT, content=text)
    if not _is_within(content, MAX_DEPTH):
        return Payload(format=PayloadFormat.TEXT, content=text)
    return Payload(format=PayloadFormat.JSON, content=content)


def _as_seen_by(role: Role, shown: S) -> S:
    return shown if sees_personal(role) else _impersonal(shown)


def _impersonal(shown: S) -> S:
    changes: dict[str, Any] = {}
    for name, field in type(shown).model_fields.items():
        value = getattr(shown, name)
        if _is_personal(field):
            changes[name] = None
        elif isinstance(value, Schema):
            changes[name] = _impersonal(value)
    return shown.model_copy(update=changes)


def _is_personal(field: FieldInfo) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, dict) and _NEEDS_ROLE in extra


def _is_within(content: object, depth: int) -> bool:
    """Whether it is nested no deeper: pydantic fails at 255 levels while writing."""
    inner = content.values() if isinstance(content, dict) else content
    if not isinstance(inner, Iterable) or isinstance(inner, str):
        return True
    return depth > 0 and all(_is_within(value, depth - 1) for value in inner)


def _attempt_fields(row: Any) -> dict[str, Any]:
    return {
        **_fields(row, Attempt, but=("claimed", "in_flight", "granted_points")),
        "granted_points": plain_number(row.granted_points),
        "claimed": None if row.claimed is None else json.loads(row.claimed),
        "in_flight": row.lease_until is not None,
    }


def _confirmation(whole: Whole) -> Confirmation:
    row, grant = whole.attempt, whole.grant
    return Confirmation(
        counted_before=whole.baseline and whole.baseline.achieved,
        next_look_at=row.next_at if row.state == State.ACCEPTED else None,
        granted=grant
        and Granted(
            at=grant.granted_at,
            points=plain_number(grant.points),
            coupon=grant.coupon_code,
            **_fields(grant, Granted, but=("at", "points", "coupon")),
        ),
    )


def _event(row: Any) -> Event:
    sent = None if row.payload is None else payload(row.payload)
    return Event(**_fields(row, Event, but=("payload",)), payload=sent)


def _listed_fields(row: Any, attempts: Sequence[Made]) -> dict[str, Any]:
    is_matched = row.fitted > 0 if row.fitted is not None else True if attempts else None
    return {
        **_fields(row, ListedEvent, but=("matched", "attempts")),
        "matched": is_matched,
        "attempts": [EventAttempt(**asdict(attempt)) for attempt in attempts],
    }


def _fields(row: Any, shape: type[Schema], but: tuple[str, ...] = ()) -> dict[str, Any]:
    return {name: getattr(row, name) for name in shape.model_fields if name not in but}


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
