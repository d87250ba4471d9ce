"""API keys. A key is shown once and stored as a digest."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from app.domain.roles import INCLUDES as INCLUDES
from app.domain.roles import Role as Role
from app.steps.audit import Change, record
from app.storage.tables import KeyRow


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """The holder of an API key."""

    id: str
    role: Role
    name: str

    @property
    def named(self) -> str:
        """The name of the holder in timelines and logs."""
        return f"key:{self.id} {self.name}"

    def may(self, role: Role) -> bool:
        """Whether the holder's role includes this role."""
        return role in INCLUDES[self.role]


def create(
    connection: Connection, role: Role, name: str, now: datetime, by: str = "cli"
) -> tuple[str, str]:
    """Create a key. Return its id and the key, which is not stored."""
    key_id = secrets.token_hex(6)
    key = f"vouch_{key_id}_{secrets.token_urlsafe(32)}"
    row = {"id": key_id, "name": name, "role": role, "digest": _digest(key), "created_at": now}
    connection.execute(insert(KeyRow).values(row))
    record(connection, Change.KEY_CREATED, by=by, now=now, subject=key_id, role=role, name=name)
    return key_id, key


def listing(connection: Connection) -> list[Row[Any]]:
    """Return all keys without their digests, oldest first."""
    columns = (KeyRow.id, KeyRow.name, KeyRow.role, KeyRow.created_at, KeyRow.revoked_at)
    return list(connection.execute(select(*columns).order_by(KeyRow.created_at, KeyRow.id)))


def revoke(connection: Connection, key_id: str, now: datetime, by: str = "cli") -> bool:
    """Revoke a key. False: there is no such key in use."""
    statement = update(KeyRow).where(KeyRow.id == key_id, KeyRow.revoked_at.is_(None))
    if connection.execute(statement.values(revoked_at=now)).rowcount != 1:
        return False
    record(connection, Change.KEY_REVOKED, by=by, now=now, subject=key_id)
    return True


def holder(connection: Connection, key: str) -> KeyHolder | None:
    """Return the holder of this key; None if it is unknown or revoked."""
    parts = key.split("_", 2)
    # PostgreSQL refuses NUL in texts. Junk must not look like a failure of the database.
    if len(parts) != 3 or len(parts[1]) != 12 or not (key.isascii() and key.isprintable()):
        return None
    row = connection.execute(select(KeyRow.__table__).where(KeyRow.id == parts[1])).one_or_none()
    if row is None or row.revoked_at is not None:
        return None
    if not hmac.compare_digest(row.digest.encode(), _digest(key).encode()):
        return None
    return KeyHolder(row.id, Role(row.role), row.name)


def _digest(key: str) -> str:
    """A plain hash is enough: the key has 256 random bits and cannot be guessed."""
    return hashlib.sha256(key.encode()).hexdigest()
