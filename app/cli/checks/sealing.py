"""Check that the secret keys open the sealed values, and which keys can be removed."""

from collections import Counter
from collections.abc import Iterator

from app.cli.checks.findings import Finding, error, ok, warning
from app.settings.environment import Environment
from app.settings.errors import ConfigurationError
from app.storage.database import Database
from app.storage.engines import sqlite_path
from app.storage.errors import StorageUnavailable
from app.storage.migrate import is_current
from app.storage.opening import known_secret_keys
from app.storage.rotation import keys_needed
from app.storage.vault import Vault, key_name

PLACE = "VOUCH_SECRET_KEYS"


def check_sealing(environment: Environment) -> Iterator[Finding]:
    """Read every sealed value. Call this only if `check_storage` found no error."""
    # Opening an embedded database would create it.
    if environment.is_embedded and not sqlite_path(environment.database_url).is_file():
        return
    try:
        keys = known_secret_keys(environment)
    except ConfigurationError as failure:
        yield from (error(one.place, one.problem) for one in failure.mistakes)
        return
    database = Database(environment.database_url, secret_keys=keys, pool_size=1)
    try:
        with database.read() as connection:
            if not is_current(connection):
                return
        needed = keys_needed(database)
    except StorageUnavailable as failure:
        yield error(PLACE, f"whether the keys open the database cannot be told: {failure}")
        return
    finally:
        database.close()
    yield from _compared(database.vault, needed)


def _compared(vault: Vault, needed: Counter[bytes]) -> Iterator[Finding]:
    ours = vault.prefixes
    for prefix in sorted(needed.keys() - set(ours)):
        text = (
            f"{needed[prefix]} values in the database are sealed with the key {key_name(prefix)}, "
            "which is not among these: add it at the end"
        )
        yield error(PLACE, text)
    for position, prefix in enumerate(ours[1:], 2):
        name = f"key {position} ({key_name(prefix)})"
        if needed[prefix]:
            text = f"{needed[prefix]} values still need {name}: run `vouch db reencrypt`"
            yield warning(PLACE, f"{text} before it is removed")
        else:
            yield ok(PLACE, f"nothing in the database needs {name} any more")
    if ours and needed[ours[0]]:
        yield ok(PLACE, f"the first ({key_name(ours[0])}) opens {needed[ours[0]]} sealed values")
