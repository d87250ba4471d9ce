"""The JSON of the control API: books, calls and faults."""

from collections.abc import Mapping
from datetime import UTC, datetime

from app.sandbox.armed_faults import Armed
from app.sandbox.calls import Call
from app.sandbox.faults import Fault
from app.sandbox.json_fields import (
    Reader,
    anything,
    headers,
    number,
    or_none,
    read_fields,
    seconds,
    share,
    status,
    text,
)
from app.sandbox.report import Report
from app.sandbox.rewards import Grant

Json = dict[str, object]

FAULT: Mapping[str, Reader] = {
    "kind": text,
    "path": or_none(text),
    "customer_id": or_none(text),
    "count": or_none(number),
    "probability": or_none(share),
    "seconds": or_none(seconds),
    "status": or_none(status),
    "body": anything,
    "headers": headers,
}


def fault_in(document: object) -> Fault:
    given = read_fields(document, FAULT)
    if "kind" not in given:
        raise ValueError("a fault needs a kind")
    return Fault(**given)


def fault(armed: Armed) -> Json:
    """`left` is how often the fault will still apply; null: until it is cleared."""
    return {
        "kind": armed.fault.kind,
        "path": armed.fault.path,
        "customerId": armed.fault.customer_id,
        "left": armed.left,
        "probability": armed.fault.probability,
        "seconds": armed.fault.seconds,
        "status": armed.fault.status,
        "body": armed.fault.body,
        "headers": dict(armed.fault.headers),
    }


def report(given: Report) -> Json:
    return {
        "grants": [_grant(each) for each in given.grants],
        "counts": [
            {"customerId": customer_id, "challengeId": challenge_id, "count": count}
            for (customer_id, challenge_id), count in given.counts.items()
        ],
        "accepted": given.accepted,
        "duplicates": given.duplicates,
        "rateLimited": given.rate_limited,
        "pendingGrants": given.pending_grants,
        "maxPerSecond": given.max_per_second,
        "max30Seconds": given.max_30_seconds,
        "concurrentPerCustomer": given.concurrent_per_customer,
    }


def call(given: Call) -> Json:
    """`status` is null while the call is open, and when no answer was sent."""
    return {
        "at": _moment(given.at),
        "requestId": given.request_id,
        "endpoint": given.endpoint,
        "method": given.method,
        "path": given.path,
        "customerId": given.customer_id,
        "challengeId": given.challenge_id,
        "status": given.status,
        "code": given.code,
        "fault": given.fault,
        "landed": given.has_landed,
    }


def _grant(given: Grant) -> Json:
    return {
        "customerId": given.customer_id,
        "challengeId": given.challenge_id,
        "at": _moment(given.at),
        "acceptedAt": _moment(given.accepted_at),
        "points": given.points,
        "coupon": given.coupon,
    }


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
