"""Who is at the terminal?"""

import getpass

from app.domain.roles import Role

# Whoever has the database and its keys at hand sees everything.
AT_THE_DATABASE = Role.ADMIN


def caused_by() -> str:
    """For timelines and the audit log: ``cli:`` and the user; in a container there may be none."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError, ImportError):
        return "cli"
