"""Is everything that a user can set, call or meet written down?"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cli import COMMANDS
from app.domain.alerts import AlertKind
from app.domain.attempts import State
from app.platforms import adapters
from app.platforms.kit.examples import example_source, templates
from app.platforms.kit.options import SourceConfig
from app.sandbox.scripts import SCRIPTS
from app.settings.configuration import load_configuration
from app.settings.environment import VARIABLES
from app.settings.receivers import Receiver
from app.settings.sections import FileModel, RuleTable
from app.storage.migrate import head

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "config" / "vouch.example.toml"
# Every source may have them; the example explains them once, above the first source.
COMMON_KEYS = {"accounts", "tolerance_seconds", "silent_after_seconds", "max_bytes"}
SECTIONS = (
    "web",
    "history",
    "claims",
    "attempts",
    "awards",
    "gameball",
    "confirmation",
    "retention",
    "worker",
    "alerts",
)


def read(path: str) -> str:
    return (ROOT / path).read_text("utf-8")


def uncommented() -> str:
    """The example with its commented-out tables switched on."""
    return re.sub(r"^# (?=\[\[|[a-z0-9_]+ = )", "", EXAMPLE.read_text("utf-8"), flags=re.MULTILINE)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_stands_in_the_example_with_its_default(section: str) -> None:
    data = tomllib.loads(EXAMPLE.read_text("utf-8"))

    model = type(getattr(FileModel(), section))

    assert set(data[section]) == set(model.model_fields)
    assert model.model_validate(data[section]) == model()


def test_every_section_is_looked_at() -> None:
    assert set(FileModel.model_fields) == {*SECTIONS, "sources", "rules", "receivers"}


@pytest.mark.parametrize("name", sorted(RuleTable.model_fields))
def test_every_key_of_a_rule_is_explained(name: str) -> None:
    assert re.search(rf"^#   {name}\b", EXAMPLE.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", sorted(Receiver.model_fields))
def test_every_key_of_a_receiver_is_explained(name: str) -> None:
    assert re.search(rf"^#   {name}\b", EXAMPLE.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("kind", AlertKind)
def test_every_kind_of_alert_is_explained(kind: AlertKind) -> None:
    assert f"`{kind}`" in read("docs/alerts.md")


@pytest.mark.parametrize("name", sorted(COMMON_KEYS | {"name", "platform", "secrets"}))
def test_every_key_that_all_sources_have_is_explained(name: str) -> None:
    assert name in SourceConfig.model_fields
    assert re.search(rf"^#   {name}\b", EXAMPLE.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("platform", sorted(adapters()))
def test_every_platform_has_an_example_source_a_row_and_examples(platform: str) -> None:
    data = tomllib.loads(uncommented())
    own = [source for source in data["sources"] if source["platform"] == platform]

    needed = set(adapters()[platform].config.model_fields) - COMMON_KEYS

    assert own, "no [[sources]] block in config/vouch.example.toml"
    assert needed <= set(own[0])
    assert f"`{platform}`" in read("docs/platforms.md")
    assert templates(platform)


def test_the_example_is_a_configuration() -> None:
    configuration = load_configuration(EXAMPLE, {"TWITCH_SECRET": "a-secret-of-ours"})

    assert [rule.challenge_id for rule in configuration.rules] == [11664]


def test_the_example_with_everything_switched_on_is_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "vouch.toml"
    path.write_text(uncommented())

    tables = tomllib.loads(uncommented())["sources"]
    lent = {
        "ALERTS_URL": "https://alerts.example/vouch",
        "ALERTS_SECRET": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
        "SLACK_URL": "https://hooks.example/T0/B0/x",
    }
    configuration = load_configuration(
        path, lent | dict(pair for t in tables for pair in variables(t))
    )

    assert set(configuration.sources) == {table["name"] for table in tables}
    assert [receiver.name for receiver in configuration.receivers] == ["on-call", "chat"]


def variables(table: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What a [[sources]] table refers to, with values of the platform's example source."""
    example = example_source(table["platform"])
    for key, value in table.items():
        for number, one in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(one, str) and one.startswith("env:"):
                lent = example[key]
                yield one[4:], lent[number] if isinstance(lent, list) else lent


@pytest.mark.parametrize("variable", VARIABLES)
def test_every_variable_is_documented(variable: str) -> None:
    assert f"{variable}=" in read("config/example.env")
    assert f"`{variable}`" in read("docs/reference.md")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    assert f"`vouch {command}" in read("docs/reference.md")


PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/*.md")]


@pytest.mark.parametrize("kind", SCRIPTS)
def test_every_fault_of_the_sandbox_is_documented(kind: str) -> None:
    assert f"`{kind}`" in read("docs/sandbox.md")


@pytest.mark.parametrize("variable", ["VOUCH_URL", "VOUCH_KEY", "VOUCH_KEY_FILE"])
def test_every_variable_of_a_client_is_documented(variable: str) -> None:
    assert variable in read("docs/command-line.md")


def test_every_link_between_our_pages_leads_somewhere() -> None:
    dead = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]

    assert not dead


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_to_a_section_finds_its_heading() -> None:
    links = [
        (page, page.parent / target if target else page, anchor)
        for page in PAGES
        for target, anchor in re.findall(r"\]\(([\w./-]*\.md)?#([^)]+)\)", page.read_text("utf-8"))
    ]

    dead = [
        f"{page.relative_to(ROOT)}: {target.name}#{anchor}"
        for page, target, anchor in links
        if anchor not in anchors(target)
    ]

    assert len(links) > 20
    assert not dead


# Words that made these pages hard to read.
RIDDLES = re.compile(r"\b(whoever|anew|naught|comes by|let go|is at it|no fault of|that which)\b")


@pytest.mark.parametrize("page", [*PAGES, EXAMPLE], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_page_is_in_plain_words(page: Path) -> None:
    prose = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)

    assert RIDDLES.findall(prose) == []


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/decisions/0*.md")), ids=lambda p: p.stem)
def test_every_decision_has_a_status_headings_and_short_paragraphs(page: Path) -> None:
    text = page.read_text("utf-8")

    paragraphs = re.split(r"\n\n|\n- ", text)

    assert "\n**Status**: " in text
    assert "\n## " in text
    assert [one for one in paragraphs if len(one) > 1_000 and not one.startswith("|")] == []


def test_every_event_in_the_log_is_explained() -> None:
    code = "".join(page.read_text("utf-8") for page in ROOT.glob("app/**/*.py"))
    events = set(re.findall(r"\blog\.(?:info|warning|error|exception)\(\s*\"([a-z_.]+)\"", code))

    assert len(events) > 20
    assert not {event for event in events if f"`{event}`" not in read("docs/operations.md")}


def test_every_decision_is_listed() -> None:
    listed = read("docs/decisions/README.md")

    for page in ROOT.glob("docs/decisions/0*.md"):
        title = page.read_text("utf-8").splitlines()[0].partition(". ")[2]
        assert f"({page.name}) | {title} |" in listed


def test_the_changelog_has_a_place_for_what_comes() -> None:
    assert "\n## Unreleased\n" in read("CHANGELOG.md")


def test_the_lines_of_the_changelog_are_short() -> None:
    long = [line for line in read("CHANGELOG.md").splitlines() if len(line) > 90]

    assert long == []


@pytest.mark.parametrize("state", State)
def test_every_state_is_explained_in_the_glossary(state: State) -> None:
    states = read("docs/glossary.md").split("\n## States\n")[1]

    assert re.search(rf"^\| `{state}` \| \w.* \|$", states, re.MULTILINE)


def test_the_glossary_explains_no_state_that_does_not_exist() -> None:
    states = read("docs/glossary.md").split("\n## States\n")[1]

    assert set(re.findall(r"^\| `(\w+)` \|", states, re.MULTILINE)) == set(State)


def test_the_page_about_the_architecture_names_only_what_exists() -> None:
    named = set(re.findall(r"`(app/[\w./-]+)`", read("docs/architecture.md")))

    assert len(named) > 30
    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_the_page_about_the_architecture_names_every_folder() -> None:
    listed = set(re.findall(r"^\| `(\w+)/` \|", read("docs/architecture.md"), re.MULTILINE))

    folders = {init.parent.name for init in ROOT.glob("app/*/__init__.py")}

    assert listed == folders


def test_migrations_have_one_head() -> None:
    assert head() is not None


def test_the_diff_that_adds_a_platform_is_the_real_one() -> None:
    page = read("docs/add-a-platform.md")
    diff = page.split("```diff\n")[1].split("\n```")[0]

    files = [part.split("\n") for part in re.split(r"^diff --git .*\n", diff, flags=re.M)[1:]]

    assert len(files) == 4
    for lines in files:
        path = next(line[6:] for line in lines if line.startswith("+++ b/"))
        added = [line[1:] for line in lines if line.startswith("+") and line[:3] != "+++"]
        assert "\n".join(added).strip() in read(path)
