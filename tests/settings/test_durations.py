"""Is "30d" thirty days, and is anything else refused?"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from app.settings.durations import Duration

DURATION: TypeAdapter[float] = TypeAdapter(Duration)
TEN_YEARS = 315_360_000
UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("0s", 0),
        ("90s", 90),
        ("15m", 900),
        ("24h", 86_400),
        ("30d", 2_592_000),
        ("2w", 1_209_600),
        ("1.5h", 5_400),
        ("0.25s", 0.25),
        (45, 45),
        (3.05, 3.05),
    ],
)
def test_a_duration_is_read_as_seconds(written: object, seconds: float) -> None:
    assert DURATION.validate_python(written) == seconds


@given(st.integers(0, 999_999_999), st.sampled_from(sorted(UNITS)))
def test_what_is_written_with_a_unit_comes_back_in_seconds(number: int, unit: str) -> None:
    seconds = number * UNITS[unit]

    if seconds <= TEN_YEARS:
        assert DURATION.validate_python(f"{number}{unit}") == seconds
    else:
        with pytest.raises(ValidationError):
            DURATION.validate_python(f"{number}{unit}")


@pytest.mark.parametrize(
    "junk",
    [
        *("", "90", "s", "90 s", "-1s", "1e3s", "1h30m", "1y", "ms", "1_0s", "٣s\n", "inf", "nan"),
        *(True, False, -1, -0.1, float("inf"), float("nan"), 10**12, None, [], {}),
        *("999999999w", "0x1s", "1.2345s", ".5s", "1234567890s"),
    ],
)
def test_what_is_no_duration_is_refused(junk: object) -> None:
    with pytest.raises(ValidationError):
        DURATION.validate_python(junk)


@given(st.text(max_size=12) | st.floats() | st.integers() | st.booleans() | st.none())
def test_no_input_gives_a_time_that_no_date_can_be_moved_by(junk: Any) -> None:
    try:
        seconds = DURATION.validate_python(junk)
    except ValidationError:
        return
    assert 0 <= seconds <= TEN_YEARS
