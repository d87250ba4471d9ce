"""Maps an answer of Gameball to an outcome, and an outcome to the treatment of the attempt."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from app.domain.texts import written


class Outcome(StrEnum):
    """How a submission ended. The values are stored, counted and shown."""

    ACCEPTED = "accepted"
    PROGRAM_DISABLED = "program_disabled"  # 202 with gameballStatus: accepted, but forwarding stops
    ECHO = "echo"  # 400/4000: the same customer and challenge inside the dedup window
    UNKNOWN = "unknown"  # it may have landed
    NOT_SENT = "not_sent"  # it cannot have landed: no connection, or never sent
    NO_CUSTOMER = "no_customer"
    BLOCKED = "blocked"  # our credentials, plan or program are refused; the attempt is fine
    BUSY = "busy"  # 422/2001: another request for this customer is running
    TOO_FAST = "too_fast"
    PERMANENT = "permanent"


class Disposition(StrEnum):
    """What happens to the attempt after a submission."""

    ACCEPT = "accept"
    RETRY = "retry"  # by the schedule of the treatment
    DIE = "die"
    WAIT = "wait"  # forwarding stops or slows; the attempt uses up no retry


REMOVED = "[removed]"
_EMAIL = re.compile(r"[^\s@\"'<>(),;:]+@[^\s@\"'<>(),;:]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """How an outcome is handled. ``schedule`` names the list of delays that it uses up."""

    then: Disposition
    schedule: str | None = None
    may_have_landed: bool = False
    pauses: bool = False
    slows: bool = False


# Sources: Gameball's documented error rows and its status-error-codes page.
TREATMENTS: Mapping[Outcome, Treatment] = {
    Outcome.ACCEPTED: Treatment(then=Disposition.ACCEPT),
    Outcome.PROGRAM_DISABLED: Treatment(then=Disposition.ACCEPT, pauses=True),
    Outcome.ECHO: Treatment(then=Disposition.RETRY, schedule="echo"),
    Outcome.UNKNOWN: Treatment(then=Disposition.RETRY, schedule="retry", may_have_landed=True),
    Outcome.NOT_SENT: Treatment(then=Disposition.RETRY, schedule="retry"),
    Outcome.NO_CUSTOMER: Treatment(then=Disposition.RETRY, schedule="missing_customer"),
    Outcome.BLOCKED: Treatment(then=Disposition.WAIT, pauses=True),
    Outcome.BUSY: Treatment(then=Disposition.RETRY, schedule="busy"),
    Outcome.TOO_FAST: Treatment(then=Disposition.WAIT, slows=True),
    Outcome.PERMANENT: Treatment(then=Disposition.DIE),
}

# Codes that decide without regard to the status.
_BY_CODE: Mapping[int, Outcome] = {
    1000: Outcome.BLOCKED,
    1001: Outcome.BLOCKED,
    1002: Outcome.BLOCKED,
    1006: Outcome.BLOCKED,
    2001: Outcome.BUSY,  # documented as 422 in one place and as 400 in another
    4004: Outcome.NO_CUSTOMER,
    6000: Outcome.BLOCKED,
    7000: Outcome.NO_CUSTOMER,
    8000: Outcome.BLOCKED,
}

_BY_STATUS: Mapping[int, Outcome] = {
    401: Outcome.BLOCKED,
    403: Outcome.BLOCKED,
    408: Outcome.UNKNOWN,
    429: Outcome.TOO_FAST,
}

# 4000 is Gameball's generic "Failed". Only the message shows that it is a duplicate.
_ECHO_CODE = 4000
_ECHO_MESSAGE = "multiple times"

# Limits of the columns. An answer that cannot be stored would be requested again.
_MAX_CODE = 2**31 - 1
_MAX_TEXT = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How one submission ended, as far as it is known. ``retry_after_seconds`` is in seconds."""

    outcome: Outcome
    status: int | None = None
    code: int | None = None
    message: str | None = None
    request_id: str | None = None
    retry_after_seconds: float | None = None

    @property
    def treatment(self) -> Treatment:
        """The treatment of the answer's outcome."""
        return TREATMENTS[self.outcome]

    @property
    def summary(self) -> str:
        """The outcome, status, code and request id. The message is left out: it may name people.

        Example: ``permanent: 400, code 3000, request 0HN7``.
        """
        named = (("", self.status), ("code ", self.code), ("request ", self.request_id))
        details = ", ".join(f"{name}{value}" for name, value in named if value is not None)
        return f"{self.outcome}: {details}" if details else str(self.outcome)


def discreet(answer: Answer, *contacts: str | None) -> Answer:
    """Return the answer with contacts removed from its message, which is stored and shown."""
    if answer.message is None:
        return answer
    message = _EMAIL.sub(REMOVED, answer.message)
    for contact in contacts:
        message = message.replace(contact, REMOVED) if contact else message
    return replace(answer, message=message)


def read_answer(status: int, body: bytes, retry_after_seconds: float | None = None) -> Answer:
    """Judge an HTTP answer. A body that is not Gameball's JSON is from a proxy: no proof."""
    envelope = _object(body)
    if envelope is None or 300 <= status < 400:
        return _without_envelope(status, retry_after_seconds)
    code = _integer(envelope.get("code"))
    message = _short(envelope.get("message"))
    return Answer(
        outcome=_judge(status, code, message, envelope),
        status=status,
        code=code,
        message=message,
        request_id=_short(envelope.get("requestId")),
        retry_after_seconds=retry_after_seconds,
    )


def _without_envelope(status: int, retry_after_seconds: float | None) -> Answer:
    # Gameball's edge may answer 429, 401 and 403 before its own code writes JSON.
    outcome = _BY_STATUS.get(status, Outcome.UNKNOWN)
    message = "the answer is not Gameball's JSON"
    return Answer(
        outcome=outcome,
        status=status,
        code=None,
        message=message,
        request_id=None,
        retry_after_seconds=retry_after_seconds,
    )


def _judge(status: int, code: int | None, message: str | None, envelope: dict[str, Any]) -> Outcome:
    if status == 202:
        return Outcome.PROGRAM_DISABLED if envelope.get("gameballStatus") else Outcome.ACCEPTED
    if status >= 500 or status < 400:
        return Outcome.UNKNOWN
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status == 400 and code == _ECHO_CODE and _ECHO_MESSAGE in (message or "").lower():
        return Outcome.ECHO
    return _BY_CODE.get(code or 0, Outcome.PERMANENT)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _integer(value: object) -> int | None:
    """A code or None. Gameball's examples show integers; its own client also expects strings."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        code = int(value)
    except ValueError:
        return None
    return code if 0 <= code <= _MAX_CODE else None


def _short(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    return written(value[:_MAX_TEXT], instead=" ")
