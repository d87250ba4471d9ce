"""List the differences between two configurations, without secrets."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from app.domain.rules import Rule
from app.platforms.kit.adapter import Adapter
from app.settings.configuration import Configuration
from app.settings.receivers import Receiver
from app.settings.sections import FileModel

MOST_TOLD = 40
_SECTIONS = tuple(
    name for name in FileModel.model_fields if name not in ("sources", "rules", "receivers")
)


def changes(before: Configuration, after: Configuration) -> list[str]:
    """Return one line for each difference; of a long list the first lines and how many follow."""
    found = [
        *_of_sources(before.sources, after.sources),
        *_of_rules(before.rules, after.rules),
        *_of_receivers(before.receivers, after.receivers),
        *(
            line
            for name in _SECTIONS
            for line in _of_section(name, getattr(before, name), getattr(after, name))
        ),
    ]
    more = len(found) - MOST_TOLD
    return found if more <= 0 else [*found[:MOST_TOLD], f"and {more} more"]


def _of_sources(before: Mapping[str, Adapter], after: Mapping[str, Adapter]) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield f"source added: {name}"
        elif name not in after:
            yield f"source removed: {name}"
        else:
            # Only the names of changed options, never the values: most of them are secrets.
            for field in _differing(before[name].source, after[name].source):
                yield f"source {name}: {field} changed"


def _of_rules(before: Sequence[Rule], after: Sequence[Rule]) -> Iterator[str]:
    old, new = Counter(before), Counter(after)
    yield from (f"rule removed: {_describe(rule)}" for rule in (old - new).elements())
    yield from (f"rule added: {_describe(rule)}" for rule in (new - old).elements())
    if old == new and list(before) != list(after):
        yield "rules: order changed"


def _of_receivers(before: Sequence[Receiver], after: Sequence[Receiver]) -> Iterator[str]:
    old, new = ({table.name: table for table in tables} for tables in (before, after))
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            yield f"receiver added: {name}"
        elif name not in new:
            yield f"receiver removed: {name}"
        else:
            for field in _differing(old[name], new[name]):
                yield f"receiver {name}: {field} changed"


def _describe(rule: Rule) -> str:
    where = rule.source or rule.platform
    on = f" of {rule.target}" if rule.target else ""
    more = f"{rule.evidence}, {rule.repeat}, hold {rule.hold_seconds:g} s"
    bars = ", bars after undo" if rule.bar_after_undo else ""
    return f"challenge {rule.challenge_id} for {rule.action}{on} on {where} ({more}{bars})"


def _of_section(name: str, before: BaseModel, after: BaseModel) -> Iterator[str]:
    for field in _differing(before, after):
        # A secret is shown as asterisks.
        old, new = getattr(before, field), getattr(after, field)
        yield f"{name}.{field}: {old} -> {new}"[:300]


def _differing(before: Any, after: Any) -> list[str]:
    fields = dict.fromkeys([*type(before).model_fields, *type(after).model_fields])
    return [f for f in fields if getattr(before, f, None) != getattr(after, f, None)]
