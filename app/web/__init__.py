"""The HTTP side: verifies callers, runs a step, and answers."""

from typing import ClassVar

from flask import Flask, Request
from flask.sessions import NullSession, SessionInterface

from app.service import Service
from app.web import health, problems, reading_slots, webhooks
from app.web.api import (
    alerts,
    attempts,
    audit,
    bulk,
    claims,
    customers,
    docs,
    events,
    identities,
    sources,
    stats,
)


class _NoSessions(SessionInterface):
    """Disables sessions: nobody logs in here."""

    _nothing: ClassVar[NullSession] = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:  # noqa: ARG002
        return self._nothing


def create_app(service: Service) -> Flask:
    """Return the WSGI application over a service."""
    app = Flask("app", static_folder=None)
    app.url_map.strict_slashes = False
    # An id may contain two slashes in a row, and API clients do not follow redirects.
    app.url_map.merge_slashes = False
    app.session_interface = _NoSessions()
    app.extensions["vouch"] = service
    app.extensions[reading_slots.EXTENSION] = reading_slots.ReadingSlots()
    problems.install(app)
    for module in (
        webhooks,
        claims,
        identities,
        customers,
        attempts,
        events,
        bulk,
        audit,
        alerts,
        stats,
        sources,
        health,
        docs,
    ):
        app.register_blueprint(module.blueprint)
    return app
