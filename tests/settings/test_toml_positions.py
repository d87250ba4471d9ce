"""Is a mistake found on the line it is on?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.settings.toml_positions import place

TEXT = """\
# a comment
loose = 1

[[sources]]
name = "twitch"
secrets = [
  "env:A",
]

[[ rules ]]   # the first
challenge_id = 1
"action" = "follow"

[web]
cors_origins = []

[[rules]]
hold = "1h"
  action = "like"
challenge_idx = 2
"""


@pytest.mark.parametrize(
    ("location", "name"),
    [
        (("loose",), "loose (line 2)"),
        (("sources", 0, "name"), "sources[0].name (line 5)"),
        (("sources", 0, "secrets", 1), "sources[0].secrets[1] (line 6)"),
        (("rules", 0, "action"), "rules[0].action (line 12)"),
        (("rules", 1, "action"), "rules[1].action (line 19)"),
        # A key that is missing is reported at its table, not at a longer key's line.
        (("rules", 1, "challenge_id"), "rules[1].challenge_id (line 17)"),
        (("rules", 1), "rules[1] (line 17)"),
        (("web",), "web (line 14)"),
        (("web", "cors_origins", 0), "web.cors_origins[0] (line 15)"),
        # Nowhere in the file: a default, or a table that is missing.
        (("gameball", "jitter"), "gameball.jitter"),
        (("rules", 7, "action"), "rules[7].action"),
        ((), ""),
    ],
)
def test_a_location_is_named_with_its_line(location: tuple[int | str, ...], name: str) -> None:
    assert place(TEXT, location) == name


def test_an_inline_table_is_found_by_its_first_line() -> None:
    text = '\nrules = [{ challenge_id = 1, action = "follow" }]\n'

    assert place(text, ("rules", 0, "action")) == "rules[0].action (line 2)"


def test_a_key_of_another_table_is_not_taken_for_ones_own() -> None:
    text = "[web]\n[claims]\ntrusted_proxies = 1\n"

    assert place(text, ("web", "trusted_proxies")) == "web.trusted_proxies (line 1)"


@given(
    st.text(max_size=200),
    st.lists(st.integers(0, 5) | st.text(max_size=8), max_size=4).map(tuple),
)
def test_no_text_and_no_location_are_too_strange(
    text: str, location: tuple[int | str, ...]
) -> None:
    assert isinstance(place(text, location), str)
