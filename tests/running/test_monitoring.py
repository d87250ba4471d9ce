"""Do the dashboard and the alerts ask for metrics that exist, and show all that we export?"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection, delete, select, update

from app.domain.answers import Outcome
from app.domain.attempts import State
from app.metrics import CALLBACK_SECONDS, CLAIMS, CONFIRMATIONS, EVENTS, READS, SUBMISSIONS
from app.storage.database import Database
from app.storage.engines import write_engine
from app.storage.tables import EventRow, HashKeyRow, SourceRow, SubscriptionRow
from app.web import create_app
from app.web.source_metrics import MOMENTS
from tests.conftest import MakeService
from tests.storage.filled import fill

ROOT = Path(__file__).parents[2]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "config/grafana/vouch.json").read_text("utf-8"))
PANELS: list[dict[str, Any]] = [one for one in DASHBOARD["panels"] if one["type"] != "row"]
ALERTS: list[dict[str, Any]] = yaml.safe_load(
    (ROOT / "config/prometheus/alerts.yml").read_text("utf-8")
)["groups"][0]["rules"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]

# Exported for one release under the former name, and on no panel.
ABSENT = {"vouch_source_trouble"}
CONFIGURATION = """
[[sources]]
name = "twitch"
platform = "twitch"
secrets = ["env:TWITCH_SECRET"]

[[rules]]
challenge_id = 1
source = "twitch"
action = "follow"
"""


def named(expression: str) -> set[str]:
    return set(re.findall(r"\bvouch_[a-z0-9_]+", expression))


@pytest.fixture
def exported(make_service: MakeService, sqlite_url: str) -> dict[str, list[dict[str, str]]]:
    """Every sample of ours that a scrape can show, by its name, with its labels."""
    service = make_service(CONFIGURATION, TWITCH_SECRET="a-secret-of-ours")
    fill(sqlite_url)
    _forget_hash_key(sqlite_url)
    _seen(service.database)
    for counter in (EVENTS.labels("twitch", "new"), SUBMISSIONS.labels("accepted")):
        counter.inc()
    CLAIMS.labels("made").inc()
    CONFIRMATIONS.labels("granted").inc()
    READS.labels("customers", "read").inc()
    CALLBACK_SECONDS.labels("twitch").observe(0.1)
    text = create_app(service).test_client().get("/metrics").text
    # A moment that never was has no sample: a subscription that nobody wants does not lapse.
    found: dict[str, list[dict[str, str]]] = {
        f"{name}_timestamp_seconds": [{"source": "twitch"}] for name, _ in MOMENTS.values()
    }
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("vouch_") and not sample.name.endswith("_created"):
                found.setdefault(sample.name, []).append(sample.labels)
    return found


def _forget_hash_key(url: str) -> None:
    """What was filled in is no key; the service makes one."""
    engine = write_engine(url)
    with engine.begin() as connection:
        connection.execute(delete(HashKeyRow))
    engine.dispose()


def _seen(database: Database) -> None:
    """Let the filled rows be about the configured source."""

    def rename(connection: Connection) -> None:
        connection.execute(update(EventRow).values(source="twitch"))
        for table in (SourceRow, SubscriptionRow):
            # The first has a value in every column.
            first = select(table.source).order_by(table.source).limit(1).scalar_subquery()
            connection.execute(update(table).where(table.source == first).values(source="twitch"))

    database.write(rename)


def expressions() -> Iterator[tuple[str, str]]:
    yield from (("dashboard", one) for one in EXPRESSIONS)
    yield from ((rule["alert"], rule["expr"]) for rule in ALERTS)


def test_whatever_is_asked_for_is_exported(exported: dict[str, list[dict[str, str]]]) -> None:
    unknown = {(place, name) for place, one in expressions() for name in named(one) - set(exported)}

    assert not unknown


def test_whatever_is_exported_is_on_the_dashboard(
    exported: dict[str, list[dict[str, str]]],
) -> None:
    shown = {name for one in EXPRESSIONS for name in named(one)}

    assert set(exported) - shown == ABSENT


def test_labels_that_are_asked_for_are_there(exported: dict[str, list[dict[str, str]]]) -> None:
    for place, expression in expressions():
        known = {key for name in named(expression) for one in exported[name] for key in one}
        asked = set(re.findall(r"by \(([^)]*)\)", expression))
        used = {label.strip() for one in asked for label in one.split(",")}

        assert used <= known, (place, expression)


def test_states_and_outcomes_that_are_asked_for_exist() -> None:
    for _, expression in expressions():
        for label, values in re.findall(r'(state|outcome)=~?"([^"]*)"', expression):
            assert set(values.split("|")) <= set(State if label == "state" else Outcome)


def test_parentheses_are_closed() -> None:
    for _, expression in expressions():
        assert expression.count("(") == expression.count(")")
        assert expression.count("[") == expression.count("]")


def test_every_panel_says_what_it_shows_once() -> None:
    titles = [panel["title"] for panel in PANELS]

    assert len(titles) == len(set(titles))
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert all(panel["targets"] for panel in PANELS)


def test_no_panel_lies_on_another() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [
        (x, y)
        for at in places
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_every_alert_says_how_bad_it_is_and_is_explained() -> None:
    guide = (ROOT / "docs/operations.md").read_text("utf-8")

    for rule in ALERTS:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"].endswith(".")
        assert f"`{rule['alert']}`" in guide
