"""Did an earlier version receive this event, under the key that it gave it?"""

from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, select

from app.steps.arrivals import Arrival
from app.storage.hashes import hashes_of
from app.storage.tables import EventRow

# Made once: SQLAlchemy takes as long to prepare a statement as SQLite to run it.
_KNOWN = select(EventRow.id, EventRow.source, EventRow.key_hash, EventRow.undone).where(
    # Not pairs, which are slow to prepare: the hash alone tells nearly always.
    EventRow.key_hash.in_(bindparam("hashes", expanding=True)),
    EventRow.source.in_(bindparam("sources", expanding=True)),
)


def without_known(connection: Connection, fresh: Mapping[str, Arrival]) -> dict[str, Arrival]:
    """Those of new events, by id, that are not known by a former key. One statement, if any.

    After the accounts were locked: an earlier version, which runs beside this one during an
    upgrade, locks them too.
    """
    hashes = hashes_of(connection)
    former = {
        event_id: [hashes.event_key(key) for key in arrival.event.former_keys]
        for event_id, arrival in fresh.items()
        if arrival.event.former_keys
    }
    if not former:
        return dict(fresh)
    parameters = {
        "hashes": list({one for some in former.values() for one in some}),
        "sources": list({fresh[event_id].event.source for event_id in former}),
    }
    known = {
        (row.source, row.key_hash, row.undone)
        for row in connection.execute(_KNOWN, parameters)
        if row.id not in fresh
    }
    return {
        event_id: arrival
        for event_id, arrival in fresh.items()
        if not any(
            (arrival.event.source, one, arrival.event.undone) in known
            for one in former.get(event_id, ())
        )
    }
