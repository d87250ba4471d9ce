"""The control API, with which tests and demos inspect and steer the sandbox."""

import json

from flask import Blueprint, Flask, request

from app.sandbox import control_json as shown
from app.sandbox.books import Books
from app.sandbox.scripts import SCRIPTS
from app.sandbox.settings_json import as_json, changed

Json = dict[str, object]

WHAT_IT_IS: Json = {
    "name": "sandbox Gameball",
    "what": "A stand-in that follows Gameball's documentation; nothing here is real.",
    "api": ["/api/v4.0/integrations/", "/api/v4.1/integrations/"],
    "control": ["/_sandbox/books", "/_sandbox/calls", "/_sandbox/settings", "/_sandbox/faults"],
    "faults": list(SCRIPTS),
}


def add_control(app: Flask, books: Books) -> None:
    control = Control(books)
    routes = Blueprint("control", __name__, url_prefix="/_sandbox")
    routes.get("/books")(control.show_books)
    routes.get("/calls")(control.show_calls)
    routes.get("/settings")(control.show_settings)
    routes.put("/settings")(control.change_settings)
    routes.get("/faults")(control.show_faults)
    routes.post("/faults")(control.add_faults)
    routes.delete("/faults")(control.clear_faults)
    routes.register_error_handler(ValueError, _explained)
    app.register_blueprint(routes)
    app.add_url_rule("/", "what", lambda: WHAT_IT_IS)


class Control:
    """The control API. It has no keys, and is for loopback only."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def show_books(self) -> Json:
        return shown.report(self._books.report())

    def show_calls(self) -> Json:
        limit = request.args.get("limit", 100, type=int)
        return {"calls": [shown.call(each) for each in self._books.calls(max(0, limit))]}

    def show_settings(self) -> Json:
        return as_json(self._books.settings)

    def change_settings(self) -> Json:
        document = _document()
        return as_json(self._books.reconfigure(lambda before: changed(before, document)))

    def show_faults(self) -> Json:
        return {"faults": [shown.fault(each) for each in self._books.faults.listed()]}

    def add_faults(self) -> tuple[Json, int]:
        """Arm one fault or a list of faults; a mistake in any of them arms none."""
        document = _document()
        documents = document if isinstance(document, list) else [document]
        self._books.faults.add(*[shown.fault_in(each) for each in documents])
        return self.show_faults(), 201

    def clear_faults(self) -> Json:
        self._books.faults.clear()
        return self.show_faults()


def _document() -> object:
    try:
        return json.loads(request.get_data())
    except (ValueError, RecursionError) as mistake:
        raise ValueError("expected JSON") from mistake


def _explained(mistake: ValueError) -> tuple[Json, int]:
    return {"error": str(mistake)}, 400
