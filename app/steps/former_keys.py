"""Did an earlier version receive this event, under the key that it gave it?"""

from collections.abc import Mapping

from sqlalchemy import Connection, select, tuple_

from app.steps.arrivals import Arrival
from app.storage.hashes import hashes_of
from app.storage.tables import EventRow


def without_known(connection: Connection, fresh: Mapping[str, Arrival]) -> dict[str, Arrival]:
    """Those of new events, by id, that are not known by a former key. One statement, if any.

    After the accounts were locked: an earlier version, which runs beside this one during an
    upgrade, locks them too.
    """
    hashes = hashes_of(connection)
    wanted = {
        (arrival.event.source, hashes.event_key(key))
        for arrival in fresh.values()
        for key in arrival.event.former_keys
    }
    if not wanted:
        return dict(fresh)
    statement = select(EventRow.source, EventRow.key_hash, EventRow.undone).where(
        tuple_(EventRow.source, EventRow.key_hash).in_(wanted), EventRow.id.not_in(fresh)
    )
    known = {tuple(row) for row in connection.execute(statement)}
    return {
        event_id: arrival
        for event_id, arrival in fresh.items()
        if not any(
            (arrival.event.source, hashes.event_key(key), arrival.event.undone) in known
            for key in arrival.event.former_keys
        )
    }
