"""Personal data sealed, event keys and the award ledger as keyed hashes."""

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

from app.domain.clock import utc_now
from app.storage.hashes import Hashes, hashes_of, make_hash_key
from app.storage.vault import vault_of

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
AT_ONCE = 500

# What is sealed: of each table, the columns, and whether they hold text.
SEALED = {
    "events": {"actor_handle": True, "payload": False},
    "attempts": {"email": True, "mobile": True, "claimed": True},
    "identities": {"handle": True, "email": True, "mobile": True},
}


def _table(name: str, key: dict[str, Any], *others: str, **typed: Any) -> sa.TableClause:
    """A table as it stands while it is converted: with the old columns beside the new."""
    sealed = SEALED.get(name, {})
    columns = {
        **key,
        **dict.fromkeys(others, sa.String()),
        **{
            f"old_{column}": sa.String() if text else sa.LargeBinary()
            for column, text in sealed.items()
        },
        **dict.fromkeys(sealed, sa.LargeBinary()),
        **typed,
    }
    return sa.table(name, *(sa.column(column, type_) for column, type_ in columns.items()))


UUID, MOMENT = sa.Uuid(as_uuid=False), sa.DateTime(timezone=True)
TABLES = {
    "events": _table(
        "events", {"id": UUID}, "key", "key_hash", "handle_hash", "actor", "old_actor"
    ),
    "attempts": _table("attempts", {"id": UUID}),
    "identities": _table("identities", {"platform": sa.String(), "account_id": sa.String()}),
}
OLD_AWARDS = _table(
    "old_awards",
    {"id": SERIAL},
    "customer_id",
    "platform",
    "account_id",
    "occurrence",
    challenge_id=sa.Integer(),
    attempt_id=UUID,
    created_at=MOMENT,
)
OLD_BARS = _table(
    "old_bars",
    {"id": SERIAL},
    "customer_id",
    "platform",
    "account_id",
    challenge_id=sa.Integer(),
    attempt_id=UUID,
    created_at=MOMENT,
)
BARS = _table(
    "bars",
    {},
    "customer_hash",
    "account_hash",
    "platform",
    challenge_id=sa.Integer(),
    attempt_id=UUID,
    created_at=MOMENT,
)
AWARDS = _table(
    "awards",
    {},
    "customer_hash",
    "account_hash",
    challenge_id=sa.Integer(),
    attempt_id=UUID,
    created_at=MOMENT,
)
OLD_NAMES = {
    "awards": (
        "fk_awards_attempt_id",
        "uq_awards_attempt_id",
        "uq_awards_challenge_id_customer_id_occurrence",
        "uq_awards_challenge_id_platform_account_id_occurrence",
        "pk_awards",
    ),
    "bars": ("fk_bars_attempt_id", "uq_bars_challenge_id_platform_account_id", "pk_bars"),
}
KEYS = {"events": ("id",), "attempts": ("id",), "identities": ("platform", "account_id")}


def upgrade() -> None:
    op.create_table(
        "hash_keys",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_hash_keys"),
    )
    op.drop_index("ix_events_actor_handle", "events")
    op.drop_index("ix_events_undone", "events")
    for table, columns in SEALED.items():
        for column in columns:
            _set_aside(table, column, sa.LargeBinary())
    _set_aside("events", "actor", sa.String(length=255))
    op.execute('ALTER TABLE events RENAME COLUMN "key" TO key_hash')
    op.add_column("events", sa.Column("key", sa.String(length=255), nullable=True))
    op.add_column("events", sa.Column("handle_hash", sa.String(length=22), nullable=True))
    op.drop_index("ix_bars_challenge_id_customer_id", "bars")
    for table in ("awards", "bars"):
        op.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    _free_names()
    _create_awards()
    _create_bars()
    hashes = _hashes_for_rows()
    if hashes is not None:
        _seal_rows(hashes)
    for table, columns in SEALED.items():
        for column in columns:
            op.execute(f"ALTER TABLE {table} DROP COLUMN old_{column}")
    op.execute("ALTER TABLE events DROP COLUMN old_actor")
    _partial("ix_events_handle_hash", "handle_hash")
    _partial("ix_events_actor", "actor")
    op.create_index(
        "ix_events_undone",
        "events",
        ["actor", "platform"],
        sqlite_where=sa.text("undone = 1"),
        postgresql_where=sa.text("undone"),
    )
    if hashes is not None:
        _hash_ledger(hashes)
    op.drop_table("old_awards")
    op.drop_table("old_bars")


def _set_aside(table: str, column: str, type_: Any) -> None:
    op.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO old_{column}")
    op.add_column(table, sa.Column(column, type_, nullable=True))


def _partial(name: str, column: str) -> None:
    where = sa.text(f"{column} IS NOT NULL")
    op.create_index(name, "events", [column], sqlite_where=where, postgresql_where=where)


def _free_names() -> None:
    """PostgreSQL's names are of the whole schema: the new tables need them."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, names in OLD_NAMES.items():
        for name in names:
            op.execute(f"ALTER TABLE old_{table} DROP CONSTRAINT {name}")
        op.execute(f"ALTER SEQUENCE {table}_id_seq RENAME TO old_{table}_id_seq")


def _create_awards() -> None:
    op.create_table(
        "awards",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("challenge_id", sa.Integer(), nullable=False),
        sa.Column("customer_hash", sa.String(length=22), nullable=False),
        sa.Column("account_hash", sa.String(length=22), nullable=True),
        sa.Column("attempt_id", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"],
            ["attempts.id"],
            name="fk_awards_attempt_id",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name="pk_awards"),
        sa.UniqueConstraint("attempt_id", name="uq_awards_attempt_id"),
        sa.UniqueConstraint("customer_hash", name="uq_awards_customer_hash"),
        sa.UniqueConstraint("account_hash", name="uq_awards_account_hash"),
    )


def _create_bars() -> None:
    op.create_table(
        "bars",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("challenge_id", sa.Integer(), nullable=False),
        sa.Column("platform", sa.String(length=64), nullable=False),
        sa.Column("account_hash", sa.String(length=22), nullable=False),
        sa.Column("customer_hash", sa.String(length=22), nullable=False),
        sa.Column("attempt_id", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name="fk_bars_attempt_id"),
        sa.PrimaryKeyConstraint("id", name="pk_bars"),
        sa.UniqueConstraint("account_hash", name="uq_bars_account_hash"),
    )
    op.create_index("ix_bars_customer_hash", "bars", ["customer_hash"])


def _hashes_for_rows() -> Hashes | None:
    """What to hash with; None for an empty database, which is converted without any key."""
    connection = op.get_bind()
    names = (*SEALED, "old_awards", "old_bars")
    filled = [
        connection.execute(sa.select(sa.literal(1)).select_from(sa.table(name)).limit(1)).first()
        for name in names
    ]
    if not any(filled):
        return None
    make_hash_key(connection, utc_now())
    return hashes_of(connection)


def _seal_rows(hashes: Hashes) -> None:
    connection = op.get_bind()
    for name, table in TABLES.items():
        for row in _each(connection, table, KEYS[name]):
            values = _sealed(connection, name, row)
            if name == "events":
                values |= _event(hashes, row)
            if values:
                where = [table.c[column] == row[column] for column in KEYS[name]]
                connection.execute(sa.update(table).where(*where).values(values))


def _hash_ledger(hashes: Hashes) -> None:
    connection = op.get_bind()
    for row in _each(connection, OLD_AWARDS, ("id",)):
        connection.execute(sa.insert(AWARDS).values(_award(hashes, row)))
    for row in _each(connection, OLD_BARS, ("id",)):
        connection.execute(sa.insert(BARS).values(_bar(hashes, row)))
    if connection.dialect.name == "postgresql":
        # Look at the deferred keys now: a table that something is still to be checked of cannot be
        # altered by a later revision.
        op.execute("SET CONSTRAINTS ALL IMMEDIATE")


def _sealed(connection: sa.Connection, table: str, row: Mapping[str, Any]) -> dict[str, Any]:
    place = "/".join(row[column] for column in KEYS[table])
    values: dict[str, Any] = {}
    for column, is_text in SEALED[table].items():
        value = row[f"old_{column}"]
        if value is not None:
            raw = value.encode() if is_text else bytes(value)
            values[column] = vault_of(connection).seal(raw, f"{table}:{place}:{column}")
    return values


def _event(hashes: Hashes, row: Mapping[str, Any]) -> dict[str, Any]:
    # Renamed above: until now this column holds the key itself.
    key, handle = row["key_hash"], row["old_actor_handle"]
    return {
        "key": key,
        "key_hash": hashes.event_key(key),
        "handle_hash": None if handle is None else hashes.handle(handle),
        "actor": row["old_actor"],
    }


def _award(hashes: Hashes, row: Mapping[str, Any]) -> dict[str, Any]:
    challenge, occurrence, account = row["challenge_id"], row["occurrence"], row["account_id"]
    return {
        "challenge_id": challenge,
        "customer_hash": hashes.award_of_customer(challenge, row["customer_id"], occurrence),
        "account_hash": None
        if account is None
        else hashes.award_of_account(challenge, row["platform"], account, occurrence),
        "attempt_id": row["attempt_id"],
        "created_at": row["created_at"],
    }


def _bar(hashes: Hashes, row: Mapping[str, Any]) -> dict[str, Any]:
    challenge, platform = row["challenge_id"], row["platform"]
    return {
        "challenge_id": challenge,
        "platform": platform,
        "account_hash": hashes.bar_of_account(challenge, platform, row["account_id"]),
        "customer_hash": hashes.bar_of_customer(challenge, platform, row["customer_id"]),
        "attempt_id": row["attempt_id"],
        "created_at": row["created_at"],
    }


def _each(
    connection: sa.Connection, table: sa.TableClause, key: tuple[str, ...]
) -> Iterator[Mapping[str, Any]]:
    """Every row, a few at a time, in the order of the primary key."""
    columns = [table.c[column] for column in key]
    after: tuple[Any, ...] | None = None
    while True:
        statement = sa.select(table).order_by(*columns).limit(AT_ONCE)
        if after is not None:
            bounds = [sa.literal(v, c.type) for v, c in zip(after, columns, strict=True)]
            statement = statement.where(sa.tuple_(*columns) > sa.tuple_(*bounds))
        found = connection.execute(statement).mappings().all()
        if not found:
            return
        after = tuple(found[-1][column] for column in key)
        yield from found
