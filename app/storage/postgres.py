"""Open sessions of PostgreSQL with our limits, without overriding the operator's options."""

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url

from app.settings.addresses import POOLER, Pooler
from app.storage.timeouts import give_up_refusing, impatient
from app.storage.vault import Vault, with_vault

# The last setting: a machine that vanishes in mid-transaction must not keep its locks for hours.
_SETTINGS: Mapping[str, str] = {
    "TimeZone": "UTC",
    "statement_timeout": "7000",
    "lock_timeout": "5000",
    "idle_in_transaction_session_timeout": "15000",
}
# Set with a statement instead of start-up options: those would replace the operator's own, such as
# a schema, and PgBouncer rejects them. The operator's own settings win, except for the time zone.
_OURS = ", ".join(f"('{name}', '{value}')" for name, value in _SETTINGS.items())
_SETTLE = f"""
    SELECT set_config(ours.name, ours.value, false)
    FROM (VALUES {_OURS}) AS ours (name, value) JOIN pg_settings USING (name)
    WHERE source <> 'client' OR name = 'TimeZone'
"""  # noqa: S608 -- of constants
# For a pooler that changes the session with each transaction: for this transaction only.
_SETTLE_ONE = "SELECT " + ", ".join(
    f"set_config('{name}', '{value}', true)" for name, value in _SETTINGS.items()
)
# A server that vanished is given up in seconds; the kernel would try for a quarter of an hour.
# https://www.postgresql.org/docs/current/libpq-connect.html
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
# The driver reads text of such a database as bytes, and the server validates none of it.
_NO_ENCODING = "SQL_ASCII"


def pooler_of(url: str) -> Pooler | None:
    """Return the pooler that the address names, if any."""
    name = make_url(url).query.get(POOLER)
    return Pooler(str(name)) if name else None


def has_notices(url: str) -> bool:
    """Whether a session can listen, which one that changes with each transaction cannot."""
    return pooler_of(url) is not Pooler.TRANSACTION


def plain_session(url: str, seconds: float) -> Any:
    """Return an autocommit session of the driver that waits at most ``seconds`` for an answer.

    Raises the driver's errors.
    """
    name = _without_pooler(url).set(drivername="postgresql").render_as_string(hide_password=False)
    options = {**connection_arguments(url), "autocommit": True, "prepare_threshold": None}
    return impatient(seconds).connect(name, **options)


def _without_pooler(url: str) -> URL:
    """Return the address without our own parameter, which no driver knows."""
    return make_url(url).difference_update_query([POOLER])


def connection_arguments(url: str) -> dict[str, Any]:
    """Return the connection options that the operator did not set."""
    query = make_url(url).query
    return {
        name: value
        for name, value in _CONNECTION.items()
        if name not in query and not os.environ.get(_VARIABLES.get(name, ""))
    }


def postgres_engine(url: str, pool_size: int, vault: Vault) -> Engine:
    pooler = pooler_of(url)
    arguments = connection_arguments(url)
    if pooler is Pooler.TRANSACTION:
        # A statement prepared in one session does not exist in the next.
        arguments["prepare_threshold"] = None
    engine = create_engine(
        _without_pooler(url),
        pool_size=pool_size,
        max_overflow=0,
        # Prefer the connection used last: the driver has prepared its statements there.
        pool_use_lifo=True,
        pool_timeout=5,
        # Errors, and so our log, would quote the values of a statement.
        hide_parameters=True,
        execution_options=with_vault(vault),
        connect_args=arguments,
    )
    give_up_refusing(engine, is_pooled=pooler is not None)

    # Before SQLAlchemy's own first query, which an unsupported encoding would break.
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
    """Apply our limits to a session of the driver, in one round trip."""
    was_autocommit = connection.autocommit
    connection.autocommit = True
    connection.execute(_SETTLE)
    connection.autocommit = was_autocommit


def require_encoding(connection: Any) -> None:
    """Raise the driver's error for a database whose encoding is SQL_ASCII."""
    import psycopg

    found = connection.info.parameter_status("server_encoding")
    if found == _NO_ENCODING:
        with suppress(psycopg.Error):
            connection.close()
        raise psycopg.OperationalError(
            f"the database's encoding is {found}: create one with ENCODING 'UTF8' for Vouch"
        )
