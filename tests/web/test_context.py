"""Who is calling, as far as our proxies say, and with what?"""

from io import BytesIO

import pytest
from flask import Flask, request
from werkzeug.exceptions import RequestEntityTooLarge

from app.web.context import client_address, whole_body


@pytest.mark.parametrize(
    ("trusted_proxies", "forwarded", "expected"),
    [
        (0, None, "10.0.0.1"),
        (0, "203.0.113.9", "10.0.0.1"),
        (1, None, "10.0.0.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        (2, "1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (2, "203.0.113.9", "203.0.113.9"),
        (1, "", "10.0.0.1"),
    ],
)
def test_as_many_entries_are_believed_as_we_have_proxies(
    trusted_proxies: int, forwarded: str | None, expected: str
) -> None:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    environ = {"REMOTE_ADDR": "10.0.0.1"}
    with Flask("test").test_request_context(headers=headers, environ_base=environ):
        assert client_address(request, trusted_proxies) == expected


@pytest.mark.parametrize("is_announced", [True, False])
def test_a_body_is_read_to_its_end_or_not_at_all(is_announced: bool) -> None:
    def body_of(length: int) -> bytes:
        # As gunicorn gives a body that comes in chunks.
        more = {"wsgi.input": BytesIO(b"x" * length), "wsgi.input_terminated": True}
        more |= {"CONTENT_LENGTH": str(length)} if is_announced else {}
        with Flask("test").test_request_context(method="POST", environ_overrides=more):
            return whole_body(request, 100_000)

    assert len(body_of(100_000)) == 100_000
    for length in (100_001, 100_002, 300_000):
        with pytest.raises(RequestEntityTooLarge):
            body_of(length)
