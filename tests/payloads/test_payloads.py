"""Each payload that others publish, correctly signed, through the intake and into a database.

Nothing may be refused, every event must be kept, and each reading must be the recorded one.
`make payloads RECORD=1` records what is read now: look at the difference before it is committed.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.domain.events import Event
from app.platforms.kit.callback import Example, Reading
from app.service import Service
from app.storage.tables import EventRow
from app.web import create_app
from tests.conftest import MakeService
from tests.payloads.fetching import Collection, collections
from tests.payloads.finding import Payload, found
from tests.platforms.callbacks import arrived
from tests.web.sources import adapter_in, with_every_platform

RECORDED = Path(__file__).with_name("recorded")
IS_RECORDING = bool(os.environ.get("VOUCH_RECORD"))


@pytest.mark.parametrize("collection", collections(), ids=lambda one: one.name)
@pytest.mark.timeout(600)
def test_every_payload_is_taken_kept_and_read_as_it_was(
    collection: Collection, folder: Path, make_service: MakeService
) -> None:
    service = with_every_platform(make_service)
    client = create_app(service).test_client()

    lines = [f"{collection.package} {collection.version}, sent to {collection.platform}"]
    for payload in payloads(collection, folder):
        lines += told(service, client, collection, payload)

    recorded = RECORDED / f"{collection.name}.txt"
    if IS_RECORDING:
        recorded.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    assert len(lines) > 1
    assert lines == recorded.read_text("utf-8").splitlines()


def payloads(collection: Collection, folder: Path) -> Iterator[Payload]:
    """Each body once, however often it is published."""
    known: set[bytes] = set()
    for path in collection.paths(folder):
        for payload in found(collection.platform, folder, path):
            digest = hashlib.sha256(payload.body).digest()
            if digest not in known:
                known.add(digest)
                yield payload


def told(
    service: Service, client: FlaskClient, collection: Collection, payload: Payload
) -> list[str]:
    """Send it, see that it is taken and kept, and say how it was read."""
    adapter = adapter_in(service, collection.platform)
    example = adapter.sign(Example(payload.body), service.now())

    status = posted(client, adapter.source.name, example)

    assert status < 300, (payload.at, status)
    # Some platforms are answered 200 to what is malformed: that is raised here.
    reading = adapter.read(arrived(example, at=service.now()))
    assert {event.key for event in reading.events} <= kept(service, adapter.source.name)
    return [payload.at, *(f"  {line}" for line in lines_of(reading))]


def posted(client: FlaskClient, source: str, example: Example) -> int:
    headers, query = dict(example.headers), dict(example.query)
    url = f"/webhooks/{source}"
    return client.post(url, data=example.body, headers=headers, query_string=query).status_code


def kept(service: Service, source: str) -> set[str]:
    with service.database.read() as connection:
        return set(connection.scalars(select(EventRow.key).where(EventRow.source == source)))


def lines_of(reading: Reading) -> Iterator[str]:
    """What was read, without an id, a name or a word of anybody's."""
    yield from ("event: " + shape(event) for event in reading.events)
    yield from (f"ignored: {reason}" for reason in reading.ignored)
    if reading.handshake:
        yield "handshake"
    if reading.notice:
        yield f"notice: {reading.notice}"
    if reading.change or reading.same_accounts:
        yield "an id becomes another"


def shape(event: Event) -> str:
    """The action, what its key is made of, and which particulars are there."""
    word, *parts = event.key.split(":")
    names = ("actor", "aliases", "target", "target_aliases", "thing", "undoes")
    there = ", ".join(name for name in names if getattr(event, name))
    key = ":".join([word, *("*" for _ in parts)])
    return f"{event.action}{' undone' if event.undone else ''}, key {key}, with {there}"
