"""The person at the terminal, for the audit log and timelines."""

import getpass

from app.domain.roles import Role

# A person with access to the database and its keys may see everything.
AT_THE_DATABASE = Role.ADMIN


def caused_by() -> str:
    """Return ``cli:`` and the user, or ``cli`` if there is no user, as in some containers."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError, ImportError):
        return "cli"
