"""What is the intake measured against? The least a server does, and the least that is honest."""

import hashlib
import hmac
import json
import os
import shutil
from pathlib import Path

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


def webhook_command(folder: Path) -> list[str]:
    """Debian's `webhook`: verify an HMAC, append the body to a file. Nothing is synced to the disk.

    It has no way to keep a body but to run a program, so it runs the least one: a shell that
    appends. https://github.com/adnanh/webhook/blob/master/docs/Hook-Definition.md
    """
    program = shutil.which("webhook")
    if program is None:
        raise SystemExit("Debian's webhook is not here: apt install webhook")
    append = """printf '%s\\n' "$1" >> events.jsonl"""
    hook = {
        "id": "hook",
        "execute-command": "/bin/sh",
        "command-working-directory": str(folder),
        "pass-arguments-to-command": [
            *({"source": "string", "name": part} for part in ("-c", append, "sh")),
            {"source": "entire-payload"},
        ],
        # Otherwise it answers before the body is in the file.
        "include-command-output-in-response": True,
        "success-http-response-code": 204,
        "trigger-rule": {
            "match": {
                "type": "payload-hmac-sha256",
                "secret": SECRET.decode(),
                "parameter": {"source": "header", "name": "X-Signature"},
            }
        },
    }
    hooks = folder / "hooks.json"
    hooks.write_text(json.dumps([hook]))
    return [program, "-hooks", str(hooks), "-ip", "127.0.0.1"]
