"""Times and addresses as people write them."""

from datetime import UTC, datetime, timedelta

import click
import pytest

from app.cli.address import is_loopback, is_web_address
from app.cli.times import moment, span
from app.domain.clock import utc_now


@pytest.mark.parametrize(
    "written",
    [
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05",
        " 2026-01-02 04:04:05+01:00 ",
        "1767323045",
        "1767323045.0",
    ],
)
def test_a_time_is_read_in_every_form_as_utc(written: str) -> None:
    assert moment(None, None, written) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_date_alone_is_its_midnight() -> None:
    assert moment(None, None, "2026-01-02") == datetime(2026, 1, 2, tzinfo=UTC)


def test_a_span_is_so_long_ago() -> None:
    read = moment(None, None, "90m")

    assert read is not None
    assert abs(utc_now() - timedelta(minutes=90) - read) < timedelta(seconds=10)


def test_nothing_is_no_time() -> None:
    assert moment(None, None, None) is None


@pytest.mark.parametrize("written", ["", "soon", "5x", "1e9", "999999999999", "2026-13-01", "9d9"])
def test_anything_else_is_refused_with_the_forms_there_are(written: str) -> None:
    with pytest.raises(click.BadParameter, match="ISO 8601"):
        moment(None, None, written)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 seconds"), (1, "1 second"), (-90, "1 minute"), (7_200, "2 hours"), (1e9, "31 years")],
)
def test_a_span_is_told_in_its_largest_unit(seconds: float, words: str) -> None:
    assert span(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:80", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:8000/x", True),
        ("http://localhost", True),
        ("http://a.localhost", True),
        ("http://localhost.example.com", False),
        ("http://10.0.0.1", False),
        ("https://api.gameball.co", False),
        ("http://", False),
    ],
)
def test_what_cannot_leave_this_machine_is_known(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected


@pytest.mark.parametrize("url", ["", "example.com", "ftp://x", "http://", "http://x:y", "http://["])
def test_what_is_no_web_address_is_known(url: str) -> None:
    assert not is_web_address(url)


@pytest.mark.parametrize("word", ["today", "Yesterday", "monday", "sunday"])
def test_a_day_by_its_name_is_when_it_last_began(word: str) -> None:
    found = moment(None, None, word)

    assert found is not None
    assert (found.hour, found.minute, found.second, found.microsecond) == (0, 0, 0, 0)
    days = (utc_now() - found).days
    assert 0 <= days < 7
    if word.endswith("sunday"):
        assert found.weekday() == 6
    if word == "Yesterday":
        assert days == 1
