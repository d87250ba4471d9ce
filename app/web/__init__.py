"""Who calls us? The HTTP side: it believes or refuses, calls a step, and answers."""

from flask import Flask

from app.service import Service
from app.web import (
    attempts,
    audit,
    bulk,
    claims,
    docs,
    health,
    identities,
    problems,
    sources,
    stats,
    webhooks,
)


def create_app(service: Service) -> Flask:
    """The WSGI application over a service."""
    app = Flask("app", static_folder=None)
    app.url_map.strict_slashes = False
    app.extensions["vouch"] = service
    problems.install(app)
    for module in (
        webhooks,
        claims,
        identities,
        attempts,
        bulk,
        audit,
        stats,
        sources,
        health,
        docs,
    ):
        app.register_blueprint(module.blueprint)
    return app
