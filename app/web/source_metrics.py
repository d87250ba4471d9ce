"""Metrics of the sources."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily

from app.domain.sources import Expected, IssueKind, Seen, issues

# Each time is in seconds since 1970, and absent where there was none.
MOMENTS = {
    "event_at": ("vouch_source_last_event", "When a source last sent a new event"),
    "heard_at": ("vouch_source_last_callback", "When a callback of a source was last accepted"),
    "handshake_at": ("vouch_source_last_handshake", "When a source last proved the endpoint"),
    "refused_at": ("vouch_source_last_refusal", "When a callback to a source was last refused"),
    "notice_at": (
        "vouch_source_last_notice",
        "When a platform last sent a notice about the subscription",
    ),
    "lapses_at": ("vouch_source_lapses", "When the first subscription of a source ends"),
}


def source_gauges(
    expected: Mapping[str, Expected], seen: Mapping[str, Seen], now: datetime
) -> Iterator[GaugeMetricFamily]:
    for moment, (name, description) in MOMENTS.items():
        yield _moments(
            f"{name}_timestamp_seconds", f"{description}, in seconds since 1970.", moment, seen
        )
    row = GaugeMetricFamily(
        "vouch_source_refusals_in_a_row", "Since the last accepted callback.", labels=["source"]
    )
    current = GaugeMetricFamily(
        "vouch_source_issue",
        "Whether a source has an issue of this kind: 1, or 0.",
        labels=["source", "kind"],
    )
    # The name before 0.2, for one release.
    former = GaugeMetricFamily(
        "vouch_source_trouble",
        "Deprecated: use vouch_source_issue.",
        labels=["source", "ailment"],
    )
    for source, usual in expected.items():
        row.add_metric([source], seen[source].refusals_in_a_row)
        found = {issue.kind for issue in issues(seen[source], usual, now)}
        for kind in IssueKind:
            current.add_metric([source, kind], float(kind in found))
            former.add_metric([source, kind], float(kind in found))
    yield from (row, current, former)


def _moments(
    name: str, description: str, moment: str, seen: Mapping[str, Seen]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, description, labels=["source"])
    for source, of in seen.items():
        at: datetime | None = getattr(of, moment)
        if at is not None:
            family.add_metric([source], at.timestamp())
    return family
