"""Flask applications over a service, without registering every route again for each test."""

from copy import copy
from functools import cache
from typing import cast

from flask import Flask

from app.service import Service
from app.web import create_app, health, reading_slots
from app.web.limits import Limits
from app.web.metrics_collector import DatabaseCollector


def app_over(service: Service) -> Flask:
    """As `create_app` makes it: routes and handlers are shared, and nothing that it remembers."""
    app = copy(_routes())
    app.extensions = {
        "vouch": service,
        "vouch-limits": Limits(),
        reading_slots.EXTENSION: reading_slots.ReadingSlots(),
        health._COLLECTOR: DatabaseCollector(service),
    }
    assert app.extensions.keys() == _routes().extensions.keys(), "make the new one here as well"
    return app


@cache
def _routes() -> Flask:
    # Views ask for the service with each request, so that the routes are made without it.
    return create_app(cast(Service, None))
