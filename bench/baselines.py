"""What is the intake measured against? The least a server does, and the least that is honest."""

import hashlib
import hmac
import os

from flask import Flask, Response, abort, request
from sqlalchemy import text

from app.storage.engines import is_sqlite, write_engine

SECRET = b"bench-secret-0123456789"


def empty() -> Flask:
    """An empty 204 from the same server: nothing is read, checked or kept."""
    app = Flask("empty")
    app.add_url_rule("/hook", view_func=lambda: Response(status=204), methods=["POST"])
    return app


def bare() -> Flask:
    """A bare route: verify an HMAC, commit one INSERT, on the same database settings."""
    app = Flask("bare")
    url = os.environ["BENCH_DATABASE_URL"]
    engine = write_engine(url, 20)
    kind = "BLOB" if is_sqlite(url) else "BYTEA"
    with engine.begin() as connection:
        connection.execute(text(f"CREATE TABLE IF NOT EXISTS bare (id TEXT, body {kind})"))
    engine.dispose()

    def hook() -> Response:
        body = request.get_data()
        message_id = request.headers.get("X-Id", "")
        expected = hmac.new(SECRET, message_id.encode() + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, request.headers.get("X-Signature", "")):
            abort(403)
        with engine.begin() as connection:
            row = {"id": message_id, "body": body}
            connection.execute(text("INSERT INTO bare (id, body) VALUES (:id, :body)"), row)
        return Response(status=204)

    app.add_url_rule("/hook", view_func=hook, methods=["POST"])
    return app
