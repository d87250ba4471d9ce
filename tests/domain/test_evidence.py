"""Which evidence is enough?"""

import pytest

from app.domain.evidence import Evidence

WEAKEST_FIRST = [Evidence.CLAIMED, Evidence.CHECKED, Evidence.SIGNED]


@pytest.mark.parametrize("asked", Evidence)
@pytest.mark.parametrize("given", Evidence)
def test_evidence_suffices_for_itself_and_for_what_is_weaker(
    given: Evidence, asked: Evidence
) -> None:
    is_enough = WEAKEST_FIRST.index(given) >= WEAKEST_FIRST.index(asked)

    assert given.suffices_for(asked) is is_enough
