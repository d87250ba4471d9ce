"""Do names come in the order of time?"""

import os
import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.domain.clock import new_id, utc_now
from tests.clock import START
from tests.moments import MOMENTS


@given(MOMENTS)
def test_a_name_is_a_version_7_uuid_that_tells_its_time(now: datetime) -> None:
    name = uuid.UUID(new_id(now))

    assert (name.version, name.variant) == (7, uuid.RFC_4122)
    milliseconds = name.int >> 80
    assert abs(milliseconds - now.timestamp() * 1_000) <= 1


@given(MOMENTS, st.integers(1, 10**9))
def test_a_later_name_sorts_after_an_earlier_one(now: datetime, milliseconds: int) -> None:
    earlier = now.astimezone(UTC)
    later = earlier + timedelta(milliseconds=milliseconds + 1)

    assert new_id(earlier) < new_id(later)


def test_two_names_of_one_moment_differ() -> None:
    now = utc_now()

    assert len({new_id(now) for _ in range(1_000)}) == 1_000


def test_now_is_aware_and_utc() -> None:
    assert utc_now().tzinfo is UTC


def test_a_forked_process_does_not_repeat_its_parents_ids() -> None:
    reading, writing = os.pipe()

    child = os.fork()
    if child == 0:
        try:
            os.write(writing, new_id(START).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)

    assert os.read(reading, 100).decode() != new_id(START)
