"""Check API keys and their roles."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import g, request

from app.domain.roles import Role
from app.steps.keys import KeyHolder, holder
from app.web.context import service
from app.web.problems import Problem

View = TypeVar("View", bound=Callable[..., Any])

WWW_AUTHENTICATE = {"WWW-Authenticate": 'Bearer realm="vouch"'}


def requires(*roles: Role) -> Callable[[View], View]:
    """Let only keys whose role includes one of ``roles`` call a view."""
    named = " or ".join(roles)

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            g.caller = _caller()
            if not any(g.caller.may(role) for role in roles):
                raise Problem("forbidden", f"This needs a key with the role {named}.")
            return view(*args, **kwargs)

        # Read by the OpenAPI document.
        checked.role = named  # type: ignore[attr-defined]
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
