"""How is a long history made in a hurry, as an installation of that age would have it?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Boolean, Connection, Integer, Numeric, Table, text

from app.storage.engines import write_engine
from app.storage.migrate import upgrade
from app.storage.tables import Base

YEARS = 2
ATTEMPTS_OF_AN_ACCOUNT = 10
SOURCE, PLATFORM = "bench", "twitch"
_AT_ONCE = 500_000
# In the order in which they sort.
_LETTERS = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
# As long as when it is sealed; nobody opens it.
_PAYLOAD = (
    '{"subscription": {"type": "channel.follow", "version": "2"}, "event": {}}'
    " and a nonce, and a tag, of 33 bytes"
)
_FASTER = {
    "sqlite": ("PRAGMA synchronous=OFF", "PRAGMA foreign_keys=OFF", "PRAGMA cache_size=-200000"),
    # The keys are right by construction; looking each up again takes hours.
    "postgresql": ("SET session_replication_role = replica", "SET synchronous_commit = off"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """How one database says what the rows are made of. ``n`` is the attempt's number."""

    is_sqlite: bool
    attempts: int
    begins_ms: int
    step_ms: float

    def moment(self, after_ms: int = 0) -> str:
        ms = f"({self._ms} + {after_ms})"
        if self.is_sqlite:
            return f"strftime('%Y-%m-%d %H:%M:%f000', {ms} / 1000.0, 'unixepoch')"
        return f"to_timestamp({ms} / 1000.0)"

    def uuid(self, variant: str) -> str:
        """A version 7 UUID of the attempt's time; ``variant`` tells kinds apart."""
        parts = (
            f"{self.hexadecimal(self._ms, 12)} || '7000{variant}' || {self.hexadecimal('n', 15)}"
        )
        return parts if self.is_sqlite else f"CAST({parts} AS uuid)"

    def hexadecimal(self, value: str, width: int) -> str:
        if self.is_sqlite:
            return f"printf('%0{width}x', {value})"
        return f"lpad(to_hex({value}), {width}, '0')"

    def account(self, prefix: str) -> str:
        number = f"n / {ATTEMPTS_OF_AN_ACCOUNT}"
        if self.is_sqlite:
            return f"'{prefix}' || printf('%09d', {number})"
        return f"'{prefix}' || lpad(({number})::text, 9, '0')"

    def key(self) -> str:
        """In order, so that it is quickly made, and evenly spread, so that new ones fall between.

        An index of keys made by chance has the same shape for whoever adds to it now.
        """
        spread = self.hexadecimal(f"n * {(1 << 60) // self.attempts}", 15)
        return f"{spread} || '-0000-4000-8000-00000'"

    def hash(self) -> str:
        """As `key`, spread over what base64 is written with."""
        place = f"(n * {(1 << 24) // self.attempts})"
        if not self.is_sqlite:
            place = f"CAST({place} AS integer)"
        letters = [
            f"substr('{_LETTERS}', (({place} >> {by}) & 63) + 1, 1)" for by in (18, 12, 6, 0)
        ]
        return f"{' || '.join(letters)} || {self.hexadecimal('n', 15)} || '---'"

    def blob(self, value: str) -> str:
        return f"CAST({value} AS BLOB)" if self.is_sqlite else f"convert_to({value}, 'UTF8')"

    def boolean(self, value: bool) -> str:
        return str(int(value)) if self.is_sqlite else str(value).lower()

    def numbers(self, first: int, last: int) -> str:
        if self.is_sqlite:
            return (
                f"(WITH RECURSIVE numbers(n) AS (VALUES({first}) UNION ALL "
                f"SELECT n + 1 FROM numbers WHERE n < {last}) SELECT n FROM numbers)"
            )
        return f"(SELECT n FROM generate_series({first}::bigint, {last}) AS n) AS numbers"

    @property
    def _ms(self) -> str:
        whole = "INTEGER" if self.is_sqlite else "bigint"
        return f"CAST({self.begins_ms} + n * {self.step_ms} AS {whole})"


def build(url: str, attempts: int) -> None:
    """A migrated database in which so many attempts have come to their end over two years."""
    upgrade(url)
    span_ms = YEARS * 365 * 86_400_000
    begins_ms = int(datetime.now(UTC).timestamp() * 1000) - span_ms
    engine = write_engine(url)
    words = Words(
        is_sqlite=engine.dialect.name == "sqlite",
        attempts=attempts,
        begins_ms=begins_ms,
        step_ms=span_ms / attempts,
    )
    with engine.connect() as connection:
        raw = connection.connection.cursor()
        for statement in _FASTER[engine.dialect.name]:
            raw.execute(statement)
        raw.close()
        connection.rollback()
        for first in range(0, attempts, _AT_ONCE):
            last = min(first + _AT_ONCE, attempts) - 1
            with connection.begin():
                for statement in _statements(words, first, last):
                    _without_timeout(connection)
                    connection.execute(text(statement))
    engine.dispose()
    _tidy(url)


def _statements(words: Words, first: int, last: int) -> Iterator[str]:
    yield _fill("events", _event(words), words.numbers(first, last))
    yield _fill("attempts", _attempt(words), words.numbers(first, last))
    yield _fill("awards", _award(words), words.numbers(first, last))
    yield _fill("submissions", _submission(words), words.numbers(first, last))
    steps = f"{words.numbers(first, last)}, (SELECT 0 AS k UNION SELECT 1 UNION SELECT 2) AS steps"
    yield _fill("transitions", _transition(words), steps, "n, k")
    accounts = words.numbers(first, last)
    condition = f"{accounts} WHERE n % {ATTEMPTS_OF_AN_ACCOUNT} = 0"
    yield _fill("identities", _identity(words), condition)


def _event(words: Words) -> dict[str, str]:
    return {
        "id": words.uuid("8"),
        "source": f"'{SOURCE}'",
        "key": words.key(),
        "key_hash": words.hash(),
        "platform": f"'{PLATFORM}'",
        "action": "'follow'",
        "actor": words.account("account-"),
        "target": "'1337'",
        "undone": words.boolean(False),
        "occurred_at": words.moment(),
        "received_at": words.moment(),
        "payload": words.blob(f"'{_PAYLOAD.replace(':', chr(92) + ':')}'"),
    }


def _attempt(words: Words) -> dict[str, str]:
    return {
        "id": words.uuid("9"),
        "event_id": words.uuid("8"),
        "state": "'granted'",
        "reason": "'granted'",
        "challenge_id": "1",
        "customer_id": words.account("customer-"),
        "source": f"'{SOURCE}'",
        "platform": f"'{PLATFORM}'",
        "action": "'follow'",
        "account_id": words.account("account-"),
        "target": "'1337'",
        "evidence": "'signed'",
        "occurrence": f"'event\\:{SOURCE}\\:' || {words.key()}",
        "hold_seconds": "0",
        "created_at": words.moment(),
        "updated_at": words.moment(2_000),
        "fence": "1",
        "round": "0",
    }


def _award(words: Words) -> dict[str, str]:
    return {
        "attempt_id": words.uuid("9"),
        "challenge_id": "1",
        "customer_hash": words.hash(),
        "account_hash": words.hash(),
        "created_at": words.moment(),
    }


def _submission(words: Words) -> dict[str, str]:
    return {
        "attempt_id": words.uuid("9"),
        "fence": "1",
        "round": "0",
        "worker": "'bench\\:1'",
        "started_at": words.moment(500),
        "ended_at": words.moment(700),
        "outcome": "'accepted'",
        "resolved": words.boolean(False),
        "status": "202",
    }


def _transition(words: Words) -> dict[str, str]:
    return {
        "attempt_id": words.uuid("9"),
        "at": words.moment(),
        "from_state": "CASE k WHEN 1 THEN 'due' WHEN 2 THEN 'accepted' END",
        "to_state": "CASE k WHEN 0 THEN 'due' WHEN 1 THEN 'accepted' ELSE 'granted' END",
        "reason": "'earned'",
        "caused_by": f"'source\\:{SOURCE}'",
    }


def _identity(words: Words) -> dict[str, str]:
    return {
        "platform": f"'{PLATFORM}'",
        "account_id": words.account("account-"),
        "customer_id": words.account("customer-"),
        "created_at": words.moment(),
        "updated_at": words.moment(),
    }


def _fill(name: str, values: Mapping[str, str], source: str, order: str = "n") -> str:
    table = Base.metadata.tables[name]
    known = {**_blank(table), **values}
    columns, expressions = ", ".join(f'"{one}"' for one in known), ", ".join(known.values())
    return f'INSERT INTO "{name}" ({columns}) SELECT {expressions} FROM {source} ORDER BY {order}'


def _blank(table: Table) -> dict[str, str]:
    """Something for every column that may not be left out, so that a new one breaks nothing."""
    return {
        column.name: _nothing(column.type)
        for column in table.columns
        if not (column.nullable or column.primary_key or column.server_default)
    }


def _nothing(kind: object) -> str:
    if isinstance(kind, Boolean):
        return "CAST(0 AS boolean)"
    return "0" if isinstance(kind, Integer | Numeric) else "''"


def _without_timeout(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL statement_timeout = 0"))


def _tidy(url: str) -> None:
    """What a server does by itself in its two years."""
    engine = write_engine(url).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET statement_timeout = 0"))
            connection.execute(text("VACUUM ANALYZE"))
    engine.dispose()
