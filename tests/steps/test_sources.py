"""Do all processes together know what was last seen of a source?"""

from datetime import timedelta
from functools import partial

from sqlalchemy import Connection

from app.domain.sources import Expected, RefusalLimit, Seen, Subscription
from app.steps.sources import Sighting, judged_seen, keep, minute_of, seen_of
from app.storage.database import Database
from tests.clock import START

LATER = START + timedelta(minutes=1)
MINUTE = minute_of(START)
TOPIC = "https://hub.example/topic"


def kept_in(connection: Connection, sightings: dict[str, Sighting]) -> None:
    keep(connection, sightings)


def kept(database: Database, *sightings: Sighting, source: str = "twitch") -> Seen:
    for sighting in sightings:
        database.write(partial(kept_in, sightings={source: sighting}))
    with database.read() as connection:
        return seen_of(connection, [source])[source]


def refused(count: int) -> Sighting:
    return Sighting(refused_at=START, refusal_kind="forged", refusal_reason="r", refusals=count)


def test_of_a_source_that_was_never_seen_nothing_is_known(database: Database) -> None:
    assert kept(database) == Seen()


def test_everything_that_was_seen_is_kept(database: Database) -> None:
    sighting = Sighting(
        callback_at=START,
        handshake_at=START,
        refused_at=START,
        refusal_kind="forged",
        refusal_reason="no header",
        refusals=2,
        notice_at=START,
        notice="revoked",
        granted_seconds={TOPIC: 60.0},
    )

    seen = kept(database, sighting)

    granted = Subscription(topic=TOPIC, granted_at=START, lapses_at=START + timedelta(seconds=60))
    assert seen == Seen(
        event_at=None,
        callback_at=START,
        handshake_at=START,
        refused_at=START,
        refusal_kind="forged",
        refusal_reason="no header",
        refusals_in_a_row=2,
        notice_at=START,
        notice="revoked",
        subscriptions=(granted,),
    )


def test_a_process_that_writes_late_does_not_undo_what_is_newer(database: Database) -> None:
    newer = Sighting(
        callback_at=LATER,
        handshake_at=LATER,
        refused_at=LATER,
        refusal_kind="forged",
        refusal_reason="new",
        refusals=1,
        notice_at=LATER,
        notice="new",
        granted_seconds={TOPIC: 60.0},
    )
    older = Sighting(
        callback_at=START,
        handshake_at=START,
        refused_at=START,
        refusal_kind="malformed",
        refusal_reason="old",
        refusals=1,
        notice_at=START,
        notice="old",
        granted_seconds={TOPIC: 9.0},
    )

    seen = kept(database, newer, older)

    assert (seen.callback_at, seen.handshake_at) == (LATER, LATER)
    assert (seen.refused_at, seen.refusal_kind, seen.refusal_reason) == (LATER, "forged", "new")
    assert (seen.notice_at, seen.notice) == (LATER, "new")
    assert seen.subscriptions[0].lapses_at == LATER + timedelta(seconds=60)


def test_what_was_not_seen_this_time_stays(database: Database) -> None:
    everything = Sighting(
        callback_at=START,
        handshake_at=START,
        refused_at=START,
        refusal_kind="forged",
        refusal_reason="r",
        refusals=1,
        notice_at=START,
        notice="n",
        granted_seconds={TOPIC: 60.0},
    )
    before = kept(database, everything)

    assert kept(database, Sighting()) == before


def test_refusals_are_counted_until_one_is_believed(database: Database) -> None:
    assert kept(database, refused(3), refused(4)).refusals_in_a_row == 7
    assert kept(database, Sighting(callback_at=LATER)).refusals_in_a_row == 0
    assert kept(database, Sighting(callback_at=LATER, refusals=2)).refusals_in_a_row == 2


def test_a_renewed_subscription_forgets_what_went_wrong_and_one_by_hand_is_known(
    database: Database,
) -> None:
    first = Sighting(handshake_at=START, granted_seconds={TOPIC: 60, "b": 30})
    second = Sighting(handshake_at=LATER, granted_seconds={TOPIC: 60})

    seen = kept(database, first, second)

    assert [(one.topic, one.granted_at) for one in seen.subscriptions] == [
        ("b", START),
        (TOPIC, LATER),
    ]


def test_sources_do_not_mix(database: Database) -> None:
    kept(database, Sighting(callback_at=START, granted_seconds={TOPIC: 60}), source="one")

    with database.read() as connection:
        seen = seen_of(connection, ["one", "other"])

    assert seen["one"].callback_at == START
    assert seen["other"] == Seen()


def test_what_is_absorbed_is_what_would_have_been_kept(database: Database) -> None:
    before = Sighting(
        callback_at=START,
        handshake_at=None,
        refused_at=START,
        refusal_kind="forged",
        refusal_reason="a",
        refusals=5,
        notice_at=None,
        notice="",
        granted_seconds={"a": 1.0},
    )
    before.believed_in[MINUTE], before.refused_in[MINUTE] = 1, 5
    after = Sighting(
        callback_at=None,
        handshake_at=LATER,
        refused_at=LATER,
        refusal_kind="forged",
        refusal_reason="b",
        refusals=2,
        notice_at=LATER,
        notice="n",
        granted_seconds={TOPIC: 60.0},
    )
    after.refused_in.update({MINUTE: 1, minute_of(LATER): 1})
    apart = kept(database, before, after, source="apart")

    before.absorb(after)
    together = kept(database, before, source="together")
    expected = Expected(refusals=RefusalLimit(0.5, 1, within_seconds=3_600))
    with database.read() as connection:
        judged = judged_seen(connection, dict.fromkeys(("apart", "together"), expected), LATER)

    assert together.refusals_in_a_row == apart.refusals_in_a_row == 7
    assert (together.callback_at, together.handshake_at) == (START, LATER)
    assert (together.refused_at, together.refusal_reason) == (LATER, "b")
    assert together.notice == apart.notice == "n"
    assert {(one.believed, one.refused) for one in judged.values()} == {(1, 7)}


def test_a_believed_callback_among_what_is_absorbed_starts_the_count_anew() -> None:
    before = refused(5)

    before.absorb(Sighting(callback_at=LATER, refusals=1))

    assert before.refusals == 1
