"""Has everybody who added a column said what it tells about a person?"""

from pathlib import Path

from app.storage.personal import COLUMNS, Tells, unlisted
from app.storage.tables import Base
from app.storage.vault import sealed_columns

DOCS = Path(__file__).parents[2] / "docs" / "privacy.md"


def columns_that_tell(tells: Tells) -> set[str]:
    return {f"{t}.{c}" for t, told in COLUMNS.items() for c, one in told.items() if one is tells}


def test_every_column_says_what_it_tells() -> None:
    assert unlisted() == set(), "say in app/storage/personal.py what these tell about a person"


def test_what_is_called_sealed_can_only_be_stored_sealed() -> None:
    sealed = {
        f"{table.name}.{name}"
        for table in Base.metadata.sorted_tables
        for name, _ in sealed_columns(table)
    }

    assert sealed == columns_that_tell(Tells.SEALED)


def test_contacts_handles_payloads_and_statements_are_sealed() -> None:
    contacts = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if column.name in {"email", "mobile", "handle", "actor_handle", "payload", "claimed"}
    }

    assert contacts <= columns_that_tell(Tells.SEALED)
    assert len(contacts) == 8


def test_every_column_about_a_person_is_in_the_page_on_privacy() -> None:
    page = DOCS.read_text("utf-8")
    about = set().union(*(columns_that_tell(one) for one in Tells if one is not Tells.NOTHING))

    missing = {one for one in about if f"`{one}`" not in page}

    assert missing == set()
