"""Check that the published keys of the sources' platforms can be fetched."""

from collections.abc import Iterator

from app.cli.checks.configured import Configured
from app.cli.checks.findings import Finding, error, ok
from app.outgoing.published_keys import fetched_now
from app.platforms.kit.callback import KeysUnavailable


def check_keys(configured: Configured) -> Iterator[Finding]:
    for position, adapter in enumerate(configured.configuration.sources.values()):
        if adapter.fetches is None:
            continue
        place = configured.place("sources", position, "name")
        adapter.fetch = fetched_now
        try:
            count = len(adapter.fetched_keys())
        except KeysUnavailable as unavailable:
            yield error(place, f"{unavailable}: until it does, callbacks are answered 503")
        else:
            what = "key" if count == 1 else "keys"
            yield ok(place, f"{count} {what} fetched from {adapter.fetches}")
