"""How is a session of PostgreSQL opened, so that what the operator wrote about it holds?"""

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url

from app.settings.addresses import POOLER, Pooler
from app.storage.timeouts import give_up_refusing, impatient
from app.storage.vault import Vault, with_vault

# The last one: a machine that vanishes in mid-transaction must not keep its locks for hours.
_SETTINGS: Mapping[str, str] = {
    "TimeZone": "UTC",
    "statement_timeout": "7000",
    "lock_timeout": "5000",
    "idle_in_transaction_session_timeout": "15000",
}
# By a statement, not by the start-up options: those would replace the operator's own, a schema
# among them, and PgBouncer refuses them. What he wrote there himself is his, but for the time zone.
_OURS = ", ".join(f"('{name}', '{value}')" for name, value in _SETTINGS.items())
_SETTLE = f"""
    SELECT set_config(ours.name, ours.value, false)
    FROM (VALUES {_OURS}) AS ours (name, value) JOIN pg_settings USING (name)
    WHERE source <> 'client' OR name = 'TimeZone'
"""  # noqa: S608 -- of constants
# For a pooler that gives each transaction another session: for this transaction alone.
_SETTLE_ONE = "SELECT " + ", ".join(
    f"set_config('{name}', '{value}', true)" for name, value in _SETTINGS.items()
)
# A server that vanished without a word is given up in seconds: the kernel would try for a quarter
# of an hour. https://www.postgresql.org/docs/current/libpq-connect.html
_CONNECTION: Mapping[str, Any] = {
    "connect_timeout": 5,
    "application_name": "vouch",
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_VARIABLES: Mapping[str, str] = {
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "application_name": "PGAPPNAME",
}
# The driver reads a text of such a database as bytes, and the server checks none that it keeps.
_NO_ENCODING = "SQL_ASCII"


def pooler_of(url: str) -> Pooler | None:
    """What stands between us and the server, as far as the address says."""
    said = make_url(url).query.get(POOLER)
    return Pooler(str(said)) if said else None


def has_notices(url: str) -> bool:
    """Whether a session can listen: not one that changes with each transaction."""
    return pooler_of(url) is not Pooler.TRANSACTION


def plain_session(url: str, seconds: float) -> Any:
    """A session of the driver's own, which commits each statement and waits ``seconds`` for each.

    Raises the driver's errors.
    """
    name = _without_pooler(url).set(drivername="postgresql").render_as_string(hide_password=False)
    options = {**connection_arguments(url), "autocommit": True, "prepare_threshold": None}
    return impatient(seconds).connect(name, **options)


def _without_pooler(url: str) -> URL:
    """The address without our own word in it, which no driver knows."""
    return make_url(url).difference_update_query([POOLER])


def connection_arguments(url: str) -> dict[str, Any]:
    """What each connection is opened with, where the operator said nothing else."""
    said = make_url(url).query
    return {
        name: value
        for name, value in _CONNECTION.items()
        if name not in said and not os.environ.get(_VARIABLES.get(name, ""))
    }


def postgres_engine(url: str, pool_size: int, vault: Vault) -> Engine:
    pooler = pooler_of(url)
    arguments = connection_arguments(url)
    if pooler is Pooler.TRANSACTION:
        # Prepared in one session, a statement is not there in the next.
        arguments["prepare_threshold"] = None
    engine = create_engine(
        _without_pooler(url),
        pool_size=pool_size,
        max_overflow=0,
        # The one used last: the driver has prepared its statements there.
        pool_use_lifo=True,
        pool_timeout=5,
        # Errors, and with them our log, would quote the values of a statement.
        hide_parameters=True,
        execution_options=with_vault(vault),
        connect_args=arguments,
    )
    give_up_refusing(engine, is_pooled=pooler is not None)

    # Before SQLAlchemy's own first look, which an encoding that we do not take would break.
    @event.listens_for(engine, "connect", insert=True)
    def settle(connection: Any, _record: object) -> None:
        require_encoding(connection)
        if pooler is not Pooler.TRANSACTION:
            settle_session(connection)

    if pooler is Pooler.TRANSACTION:

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql(_SETTLE_ONE)

    return engine


def settle_session(connection: Any) -> None:
    """Give a session of the driver our limits, in one round trip."""
    was_autocommit = connection.autocommit
    connection.autocommit = True
    connection.execute(_SETTLE)
    connection.autocommit = was_autocommit


def require_encoding(connection: Any) -> None:
    """Raise the driver's error, with words, for a database that keeps bytes instead of text."""
    import psycopg

    found = connection.info.parameter_status("server_encoding")
    if found == _NO_ENCODING:
        with suppress(psycopg.Error):
            connection.close()
        raise psycopg.OperationalError(
            f"the database's encoding is {found}: create one with ENCODING 'UTF8' for Vouch"
        )
