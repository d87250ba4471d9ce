"""What differs between two configurations, in words that hold no secret?"""

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
    """One line for each difference; of very many, the first and how many more there are."""
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
            # The names of what changed, never the values: most of them are secrets.
            for field in _differing(before[name].source, after[name].source):
                yield f"source {name}: {field} changed"


def _of_rules(before: Sequence[Rule], after: Sequence[Rule]) -> Iterator[str]:
    old, new = Counter(before), Counter(after)
    yield from (f"rule removed: {_told(rule)}" for rule in (old - new).elements())
    yield from (f"rule added: {_told(rule)}" for rule in (new - old).elements())
    if old == new and list(before) != list(after):
        yield "rules: another order"


def _of_receivers(before: Sequence[Receiver], after: Sequence[Receiver]) -> Iterator[str]:
    old, new = ({one.name: one for one in some} for some in (before, after))
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            yield f"receiver added: {name}"
        elif name not in new:
            yield f"receiver removed: {name}"
        else:
            for field in _differing(old[name], new[name]):
                yield f"receiver {name}: {field} changed"


def _told(rule: Rule) -> str:
    where = rule.source or rule.platform
    on = f" of {rule.target}" if rule.target else ""
    more = f"{rule.evidence}, {rule.repeat}, hold {rule.hold_seconds:g} s"
    bars = ", bars after undo" if rule.bar_after_undo else ""
    return f"challenge {rule.challenge_id} for {rule.action}{on} on {where} ({more}{bars})"


def _of_section(name: str, before: BaseModel, after: BaseModel) -> Iterator[str]:
    for field in _differing(before, after):
        # A secret writes itself as asterisks.
        old, new = getattr(before, field), getattr(after, field)
        yield f"{name}.{field}: {old} -> {new}"[:300]


def _differing(before: Any, after: Any) -> list[str]:
    fields = dict.fromkeys([*type(before).model_fields, *type(after).model_fields])
    return [f for f in fields if getattr(before, f, None) != getattr(after, f, None)]
