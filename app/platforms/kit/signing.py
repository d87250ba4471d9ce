"""Sign examples as the platform would, and as a stranger would."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from app.platforms.kit.callback import Example
from app.platforms.kit.examples import signing_keys
from app.platforms.kit.key_pairs import PairScheme
from app.platforms.kit.options import SourceConfig
from app.platforms.kit.schemes import Scheme


class CannotSign(ValueError):  # noqa: N818 -- not an error
    """No callback of this platform can be made here: we do not have the signing key."""


def sign(
    source: SourceConfig, platform: str, schemes: Sequence[Scheme], example: Example, now: datetime
) -> Example:
    """Sign with the first secret that can. Raises `CannotSign`.

    Of key pairs we hold only the private keys of our own examples.
    """
    for scheme in schemes:
        key = _signing_key(scheme, source.keys_of(scheme.secrets), platform)
        if key is not None:
            return scheme.sign(example, key, now)
    raise CannotSign(
        f"no key of {source.name} can sign for {platform} here: it needs a secret or, where "
        "the platform has a key pair, the public key of our example (source.toml)"
    )


def lowered(example: Example) -> Example:
    headers = {name.lower(): value for name, value in example.headers.items()}
    return replace(example, headers=headers)


def _signing_key(scheme: Scheme, trusted: Sequence[bytes], platform: str) -> bytes | None:
    if not isinstance(scheme, PairScheme):
        return next(iter(trusted), None)
    pairs = ((key, public) for public in trusted for key in signing_keys(platform))
    return next((key for key, public in pairs if scheme.fits(key, public)), None)
