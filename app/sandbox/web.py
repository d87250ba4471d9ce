"""The sandbox's WSGI application, and the common processing of every call."""

import time
from collections.abc import Callable

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from app.sandbox import payloads
from app.sandbox.books import Books
from app.sandbox.calls import SOCIAL_CHALLENGES, Call
from app.sandbox.control import add_control
from app.sandbox.endpoints import ENDPOINTS, Endpoint
from app.sandbox.faults import Fault
from app.sandbox.replies import (
    SECRET_MISSING,
    SOCIAL_SECRET_MISSING,
    TOO_MANY,
    UNAUTHORIZED,
    RefusalError,
    Reply,
    refusal,
)
from app.sandbox.wire import ENDING_HEADER

VERSIONS = ("v4.0", "v4.1")
MAX_BODY_BYTES = 1 << 20
LONGEST_NAME = 200
# Never sent: the wire closes the connection instead.
UNANSWERED = Reply(status=504, body="")

Pause = Callable[[float], object]


def create_sandbox(books: Books, pause: Pause = time.sleep) -> Flask:
    """Return the WSGI application; only the sandbox's own server can inject connection faults."""
    app = Flask("sandbox")
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    # A customer id may contain anything, including slashes.
    app.url_map.merge_slashes = False
    add_control(app, books)
    _log_the_undocumented(app, books)
    for version in VERSIONS:
        for endpoint in ENDPOINTS:
            gate = Gate(books, pause, endpoint, is_secret_always=version == "v4.1")
            path = f"/api/{version}/integrations/{endpoint.path}"
            name = f"{version.replace('.', '')} {endpoint.name}"
            app.add_url_rule(path, name, gate.answer, methods=[endpoint.method])
    return app


def _log_the_undocumented(app: Flask, books: Books) -> None:
    """Log calls to unknown paths, and answer like a gateway, without Gameball's envelope."""

    def refuse(error: HTTPException) -> HTTPException:
        if request.path.startswith("/api/"):
            call = books.arrive("others", "undocumented", request.method, request.path)
            books.finish(call, Reply(status=error.code or 404, body=""), None, has_landed=False)
        return error

    app.register_error_handler(404, refuse)
    app.register_error_handler(405, refuse)


class Gate:
    """An endpoint with the common steps of every call: log, rate windows, faults, keys, lock."""

    def __init__(
        self, books: Books, pause: Pause, endpoint: Endpoint, *, is_secret_always: bool
    ) -> None:
        self._books = books
        self._pause = pause
        self._endpoint = endpoint
        # https://docs.gameball.co/api-reference/introduction-v4.1
        self._needs_secret = endpoint.needs_secret or is_secret_always

    def answer(self, **named: str) -> Response:
        call = self._arrive(**named)
        if not call.is_admitted:
            return self._finish(call, None, None, refusal(TOO_MANY, call.request_id))
        fault = self._books.faults.draw(self._endpoint.name, call.customer_id)
        own = None
        if fault is None or fault.script.is_processed:
            own = self._process(call, fault.work_seconds if fault else 0.0, named)
        answer = fault.reply(call.request_id) if fault else None
        return self._finish(call, fault, own, answer or own or UNANSWERED)

    def _arrive(self, customer_id: str | None = None) -> Call:
        payload = payloads.peek(request.get_data()) or {}
        endpoint = self._endpoint
        return self._books.arrive(
            endpoint.resource,
            endpoint.name,
            request.method,
            request.path,
            customer_id or _name(payload.get("customerId") or request.args.get("customerId")),
            _number(payload.get("challengeId") or request.args.get("campaignId")),
        )

    def _process(self, call: Call, work_seconds: float, named: dict[str, str]) -> Reply:
        held = call.customer_id if call.method == "POST" else None
        try:
            self._check_keys()
            with self._books.processing(held):
                if work_seconds:
                    self._pause(work_seconds)
                return self._endpoint.answer(self._books, **named)
        except RefusalError as error:
            return refusal(error.row, call.request_id)

    def _check_keys(self) -> None:
        settings = self._books.settings
        if request.headers.get("apikey") != settings.api_key:
            raise RefusalError(UNAUTHORIZED)
        if self._needs_secret and request.headers.get("secretkey") != settings.secret_key:
            is_social = self._endpoint.name == SOCIAL_CHALLENGES
            raise RefusalError(SOCIAL_SECRET_MISSING if is_social else SECRET_MISSING)

    def _finish(
        self, call: Call, fault: Fault | None, own: Reply | None, answer: Reply
    ) -> Response:
        ending = fault.script.ending if fault else "answer"
        sent = answer if ending in ("answer", "truncate") else None
        has_landed = call.endpoint == SOCIAL_CHALLENGES and own is not None and own.status == 202
        self._books.finish(call, sent, fault.kind if fault else None, has_landed=has_landed)
        response = Response(answer.body, answer.status, dict(answer.headers))
        if fault and ending != "answer":
            response.headers[ENDING_HEADER] = f"{ending} {fault.wait_seconds}"
        return response


def _name(value: object) -> str | None:
    return value[:LONGEST_NAME] if isinstance(value, str) else None


def _number(value: object) -> int | None:
    if isinstance(value, str) and payloads.WHOLE_NUMBER.fullmatch(value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
