"""Receives platforms' handshakes and events, and answers as each platform expects."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import structlog
from flask import Blueprint, Request, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from app.metrics import CALLBACK_SECONDS, EVENTS
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Forged, Malformed, Reading, Reply, TooLarge
from app.service import Service
from app.steps.intake import NO_RULE, Receipt
from app.steps.joining import Joining
from app.steps.sightings import SightingsBuffer
from app.web.api.openapi import operation
from app.web.context import lower_headers, service, whole_body
from app.web.problems import Problem

log = structlog.get_logger(__name__)

_MOST_LOGGED = 5
blueprint = Blueprint("webhooks", __name__)

NOBODY_WAITS = "no attempt of this customer waits for such a reward"


@blueprint.route("/webhooks/<source>", methods=["GET", "POST"])
@operation(
    operation_id={"get": "answerHandshake", "post": "receiveEvents"},
    summary={"get": "Prove to a platform that this is ours", "post": "Take a platform's events"},
    description={
        "get": "As the source's platform has it: asked its way, and answered as it expects.",
        "post": "As the source's platform has it: signed its way, answered as it expects. A 2xx to "
        "events means that every one of them is on disk. Forged ones get 401, 403 or, where a "
        "platform would otherwise stop calling, a 2xx and no more.",
    },
    answers={200: "text/plain|application/json", 204: "Taken, known before, or of no interest."},
    problems=(
        "unknown",
        "malformed",
        "forged",
        ("forged", 403),
        ("forged", 404),
        ("malformed", 404),
        "too-large",
        "keys",
    ),
    tag="webhooks",
)
def webhook(source: str) -> Response:
    """Accept or refuse a callback. A 2xx means that every event in it is on disk."""
    adapter = service().configuration.sources.get(source)
    if adapter is None:
        raise Problem("unknown", "No source has this name.")
    reply = answer(service(), adapter, callback_of(request, service(), adapter))
    response = Response(reply.body, reply.status)
    del response.headers["Content-Type"]
    response.headers.extend(header_list(reply))
    return response


def callback_of(request: Request, service: Service, adapter: Adapter) -> Callback:
    """Read the callback from Flask's request. Raises the `Problem` too-large."""
    most = adapter.most_bytes(service.configuration.web.max_callback_bytes)
    try:
        body = whole_body(request, most)
    except RequestEntityTooLarge:
        reason = f"the body has more than {most} bytes"
        raise _too_large(service.watch, adapter, service.now(), reason) from None
    query = request.args.to_dict()
    return Callback(
        method=request.method,
        headers=lower_headers(request),
        query=query,
        body=body,
        received_at=service.now(),
    )


def answer(service: Service, adapter: Adapter, callback: Callback) -> Reply:
    """Answer a source's callback. Raises `Problem`, and errors that `problems` answers."""
    began = time.perf_counter()
    try:
        return _answer(service, adapter, callback)
    finally:
        _clock(adapter, time.perf_counter() - began)


def _answer(service: Service, adapter: Adapter, callback: Callback) -> Reply:
    try:
        adapter.check_size(callback, service.configuration.web.max_callback_bytes)
        reply = adapter.handshake(callback)
        if reply is not None:
            _proved(service.watch, adapter, reply, callback.received_at)
            return reply
        if callback.method not in ("POST",):
            raise Problem("malformed", "This is not a handshake of the platform.")
        adapter.verify(callback)
        reading = adapter.read(callback)
    except TooLarge as refusal:
        at, reason = callback.received_at, refusal.reason
        raise _too_large(service.watch, adapter, at, reason) from None
    except Forged as refusal:
        return _refused(service.watch, adapter, callback, "forged", refusal.reason)
    except Malformed as refusal:
        return _refused(service.watch, adapter, callback, "malformed", refusal.reason)
    receipts = _received(service, adapter, reading, callback.received_at)
    if reading.nudges:
        reading = _heard(service, adapter, reading)
    _note(service, adapter, callback, reading, receipts)
    return reading.reply or adapter.accepted


def _received(
    service: Service, adapter: Adapter, reading: Reading, at: datetime
) -> Sequence[Receipt]:
    """Return receipts for the events that may earn something; store excluded ones beside them."""
    # An excluded undoing would otherwise count as an undoing later.
    excluded = [event for event in reading.excluded if not event.undone]
    joinings = [
        Joining(
            source=adapter.source.name,
            platform=adapter.source.accounts or adapter.name,
            said=joining,
            at=at,
        )
        for joining in reading.same_accounts
    ]
    if not reading.events and not excluded and not joinings:
        return ()
    kept = service.receive([*reading.events, *excluded], adapter.deadline_seconds, joinings)
    return kept[: len(reading.events)]


def _heard(service: Service, adapter: Adapter, reading: Reading) -> Reading:
    """Request lookups for nudges. A nudge for which nothing waits is ignored."""
    heard = service.hear(reading.nudges, adapter.deadline_seconds)
    if any(heard):
        EVENTS.labels(adapter.source.name, "nudge").inc(sum(heard))
    unknown = (NOBODY_WAITS,) * heard.count(False)
    return replace(reading, ignored=(*reading.ignored, *unknown))


def _proved(watch: SightingsBuffer, adapter: Adapter, reply: Reply, at: datetime) -> None:
    source = adapter.source.name
    log.info("webhook.handshake", source=source)
    EVENTS.labels(source, "handshake").inc()
    if not reply.is_proof:
        return
    if reply.notice is None:
        watch.proved(source, at, reply.grant)
    else:
        _noticed(watch, source, at, reply.notice)


def _noticed(watch: SightingsBuffer, source: str, at: datetime, notice: str) -> None:
    log.warning("webhook.notice", source=source, notice=notice)
    watch.noticed(source, at, notice)


def _refused(
    watch: SightingsBuffer, adapter: Adapter, callback: Callback, kind: str, reason: str
) -> Reply:
    """Refuse a callback: the reason goes to the log and the source's health, little to the sender.

    Raises `Problem`, except where a platform needs a success.
    """
    status = {"forged": adapter.forged_status, "malformed": adapter.malformed_status}[kind]
    _note_refusal(watch, adapter, callback.received_at, kind, reason)
    if status < 300 and callback.method == "POST":
        # Some platforms take any other answer for our failure, and stop calling.
        return replace(adapter.accepted, status=status)
    if status < 300:
        # A refused handshake must not look like an answered one.
        status = 404
    detail = {
        "forged": "The signature, token or time is missing or wrong.",
        "malformed": "This source cannot read the shape of the body."
        if callback.method == "POST"
        else "This source does not answer such a handshake.",
    }[kind]
    raise Problem(kind, detail, status=status)


def _too_large(watch: SightingsBuffer, adapter: Adapter, at: datetime, reason: str) -> Problem:
    _note_refusal(watch, adapter, at, "too-large", reason)
    return Problem("too-large", "The body is larger than this source's callbacks may be.")


def _note_refusal(
    watch: SightingsBuffer, adapter: Adapter, at: datetime, kind: str, reason: str
) -> None:
    source = adapter.source.name
    log.warning("webhook.refused", source=source, kind=kind, reason=reason)
    EVENTS.labels(source, kind).inc()
    watch.refused(source, at, kind, reason)


def _clock(adapter: Adapter, seconds: float) -> None:
    CALLBACK_SECONDS.labels(adapter.source.name).observe(seconds)
    if seconds > adapter.deadline_seconds:
        log.warning(
            "webhook.late",
            source=adapter.source.name,
            seconds=round(seconds, 3),
            deadline_seconds=adapter.deadline_seconds,
        )


def _note(
    service: Service,
    adapter: Adapter,
    callback: Callback,
    reading: Reading,
    receipts: Sequence[Receipt],
) -> None:
    source, watch = adapter.source.name, service.watch
    new = sum(receipt.is_new for receipt in receipts)
    states = [state for receipt in receipts for state in receipt.states]
    for outcome, count in (
        ("new", new),
        ("known", len(receipts) - new),
        ("ignored", len(reading.ignored)),
        ("handshake", int(reading.handshake)),
    ):
        if count:
            EVENTS.labels(source, outcome).inc(count)
    fitting = adapter.fitting_secret(callback)
    watch.believed(source, callback.received_at, fitting.value if fitting else None)
    unmatched = [NO_RULE for receipt in receipts if receipt.is_new and not receipt.is_matched]
    if reading.ignored or unmatched:
        watch.unrewarded(source, callback.received_at, [*reading.ignored, *unmatched])
    if reading.handshake:
        watch.proved(source, callback.received_at)
    if reading.notice is not None:
        _noticed(watch, source, callback.received_at, reading.notice)
    if reading.change is not None:
        old_id, new_id = reading.change.old_id, reading.change.new_id
        log.warning("webhook.id_changed", source=source, old_id=old_id, new_id=new_id)
        watch.changed(source, callback.received_at, old_id, new_id)
    log.info(
        "webhook.received",
        source=source,
        new=new,
        known=len(receipts) - new,
        actions=[event.action for event in reading.events[:_MOST_LOGGED]],
        targets=[event.target for event in reading.events[:_MOST_LOGGED]],
        attempts=states,
        ignored=reading.ignored[:_MOST_LOGGED],
    )


def header_list(reply: Reply) -> list[tuple[str, str]]:
    # nosniff: a handshake echoes a stranger's text, and no browser may render it as a page.
    headers = [("X-Content-Type-Options", "nosniff")]
    if reply.body:
        headers.append(("Content-Type", reply.content_type))
    return headers
