"""Check API keys and their roles."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import g, request

from app.steps.keys import KeyHolder, Role, holder
from app.web.context import service
from app.web.problems import Problem

View = TypeVar("View", bound=Callable[..., Any])

WWW_AUTHENTICATE = {"WWW-Authenticate": 'Bearer realm="vouch"'}


def requires(role: Role) -> Callable[[View], View]:
    """Allow only keys whose role includes ``role`` to call a view."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            g.caller = _caller()
            if not g.caller.may(role):
                raise Problem("forbidden", f"This needs a key with the role {role}.")
            return view(*args, **kwargs)

        # The OpenAPI document reads it.
        checked.role = role  # type: ignore[attr-defined]
        return checked  # type: ignore[return-value]

    return decorate


def caller() -> KeyHolder:
    """Return the key's holder, inside a view that `requires` one."""
    found: KeyHolder = g.caller
    return found


def bearer() -> str:
    """Return the bearer token of the request, or an empty string."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _caller() -> KeyHolder:
    key = bearer()
    if not key:
        detail = "Send Authorization: Bearer <key>."
        raise Problem("unauthenticated", detail, headers=WWW_AUTHENTICATE)
    with service().people.read() as connection:
        found = holder(connection, key)
    if found is None:
        detail = "The key is unknown or revoked."
        raise Problem("unauthenticated", detail, headers=WWW_AUTHENTICATE)
    return found
