"""Check the secrets and addresses in the environment."""

import os
from collections.abc import Iterator, Mapping

from app.cli.address import is_loopback, is_web_address
from app.cli.checks.findings import Finding, error, ok, warning
from app.settings.environment import Environment, read_environment
from app.settings.errors import ConfigurationError


def readable_environment() -> tuple[Environment, list[Finding]]:
    """Return the environment without invalid variables, and a finding for each of these."""
    variables: Mapping[str, str] = os.environ
    found: list[Finding] = []
    while True:
        try:
            return read_environment(variables), found
        except ConfigurationError as failure:
            found += [error(one.place, one.problem) for one in failure.mistakes]
            wrong = {one.place.removesuffix("_FILE") for one in failure.mistakes}
            gone = wrong | {f"{name}_FILE" for name in wrong}
            if gone.isdisjoint(variables):
                return Environment(), found
            variables = {name: value for name, value in variables.items() if name not in gone}


def check_environment(environment: Environment) -> Iterator[Finding]:
    yield from _secret_keys(environment)
    yield from _base_url(environment)
    for name, value in (
        ("GAMEBALL_API_KEY", environment.gameball_api_key),
        ("GAMEBALL_SECRET_KEY", environment.gameball_secret_key),
    ):
        if not value:
            yield error(name, "is not set: nothing is forwarded to Gameball from here")


def _secret_keys(environment: Environment) -> Iterator[Finding]:
    place = "VOUCH_SECRET_KEYS"
    if environment.secret_keys:
        count = len(environment.secret_keys)
        told = "key signs and seals" if count == 1 else "keys; the first signs and seals"
        yield ok(place, f"{count} {told}")
    elif environment.is_embedded:
        yield warning(
            place,
            "is not set: a key is generated and kept beside the database. Without that file, "
            "what is sealed in the database is lost, and claim tokens that are out",
        )
    else:
        yield error(
            place, "must be set when the database is shared: every machine needs the same keys"
        )


def _base_url(environment: Environment) -> Iterator[Finding]:
    place, url = "GAMEBALL_BASE_URL", environment.gameball_base_url
    if not is_web_address(url):
        yield error(place, "is no web address: write https://HOST")
    elif url.startswith("http://") and not is_loopback(url):
        yield error(place, "is plain http to another machine: the keys would travel readable")
    else:
        yield ok(place, f"{url}, version {environment.gameball_api_version}")
