"""Who is calling, as far as our proxies say?"""

import pytest
from flask import Flask, request

from app.web.context import client_address


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
