"""What may the holder of an API key do?"""

from enum import StrEnum


class Role(StrEnum):
    BACKEND = "backend"
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


# Which roles a key's role includes. A backend mints tokens and links accounts; it reads no history.
INCLUDES: dict[Role, frozenset[Role]] = {
    Role.BACKEND: frozenset({Role.BACKEND}),
    Role.VIEWER: frozenset({Role.VIEWER}),
    Role.OPERATOR: frozenset({Role.OPERATOR, Role.VIEWER}),
    Role.ADMIN: frozenset(Role),
}
