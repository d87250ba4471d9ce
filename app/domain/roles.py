"""The roles of API keys."""

from enum import StrEnum


class Role(StrEnum):
    BACKEND = "backend"
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


# The roles that each role includes. A backend mints tokens and links accounts; it cannot read
# the history.
INCLUDES: dict[Role, frozenset[Role]] = {
    Role.BACKEND: frozenset({Role.BACKEND}),
    Role.VIEWER: frozenset({Role.VIEWER}),
    Role.OPERATOR: frozenset({Role.OPERATOR, Role.VIEWER}),
    Role.ADMIN: frozenset(Role),
}
