"""Check the rules: whether they can be fulfilled, abused, or break a platform's terms."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from app.cli.checks.configured import Configured
from app.cli.checks.findings import Finding, warning
from app.domain.clock import utc_now
from app.domain.evidence import Evidence
from app.domain.rules import Repeat, Rule
from app.platforms import adapters
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Refusal
from app.platforms.kit.examples import Template, templates
from app.platforms.kit.signing import CannotSign

# A claim names its own target and counts as a new event, so each claim would earn an award.
_INVENTABLE = frozenset({Repeat.PER_TARGET, Repeat.EVERY_EVENT})
_EXAMPLE = {"actor": "1", "target": "2", "key": "3"}


def check_rules(configured: Configured) -> Iterator[Finding]:
    for position, rule in enumerate(configured.rules):
        sources = configured.sources_of(rule)
        yield from _terms(configured, position, rule, sources)
        if sources:
            yield from _action(configured, position, rule, sources)
            yield from _anywhere(configured, position, rule, sources)
        elif rule.evidence is not Evidence.CLAIMED:
            yield warning(
                configured.place("rules", position, "platform"),
                f"no source tells of {rule.platform!r}: claims of it wait for a proof and expire",
            )
        yield from _inventable(configured, position, rule)
        yield from _undoing(configured, position, rule, sources)
    yield from _origins(configured)


def _terms(
    configured: Configured, position: int, rule: Rule, sources: list[Adapter]
) -> Iterator[Finding]:
    """Check the terms of the platforms that the rule rewards, also those without a source."""
    place = configured.place("rules", position, "action")
    kinds = [(adapter.name, type(adapter)) for adapter in sources]
    if not kinds:
        known = adapters().items()
        kinds = [
            (rule.platform, k) for name, k in known if rule.platform in (name, *k.also_known_as)
        ]
    for name, kind in dict(kinds).items():
        for terms in kind.terms:
            if terms.speak_against(rule.action):
                yield warning(place, f"the terms of {name} speak against rewarding it. {terms}")


def _action(
    configured: Configured, position: int, rule: Rule, sources: list[Adapter]
) -> Iterator[Finding]:
    if any(_knows(adapter, rule.action) for adapter in sources):
        return
    known = {action for adapter in sources for action in _shown(templates(adapter.name))}
    yield warning(
        configured.place("rules", position, "action"),
        f"nothing known of {rule.platform} is read as {rule.action!r}, but: "
        + ", ".join(sorted(known)),
    )


def _inventable(configured: Configured, position: int, rule: Rule) -> Iterator[Finding]:
    if rule.evidence is Evidence.CLAIMED and rule.repeat in _INVENTABLE:
        yield warning(
            configured.place("rules", position, "repeat"),
            f"{rule.repeat} on a customer's word alone: whoever invents targets is paid for each",
        )


def _undoing(
    configured: Configured, position: int, rule: Rule, sources: list[Adapter]
) -> Iterator[Finding]:
    """Check whether an account is paid again after it undoes and repeats the action."""
    is_reported = any(_reports_undoing(adapter, rule.action) for adapter in sources)
    if rule.repeat is Repeat.EVERY_EVENT and not rule.minds_undoing:
        place = configured.place("rules", position, "repeat")
        if is_reported:
            yield warning(
                place,
                f"{rule.action!r} can be undone and done again, and every time is paid: give the "
                "rule a hold, so that undoing it withdraws the award",
            )
        elif rule.action in _done_again():
            yield warning(
                place,
                f"{rule.action!r} can be undone and done again, and every time is paid: use "
                "another repeat, as nothing reports the undoing",
            )
    if rule.minds_undoing and not is_reported:
        option = "hold" if rule.hold_seconds else "bar_after_undo"
        yield warning(
            configured.place("rules", position, option),
            f"has no effect on whoever undoes {rule.action!r}: no source reports that",
        )


def _anywhere(
    configured: Configured, position: int, rule: Rule, sources: list[Adapter]
) -> Iterator[Finding]:
    """Check whether a rule without a target rewards actions in unintended places."""
    if rule.target is not None:
        return
    for adapter in sources:
        for option, actions in adapter.narrowed_by.items():
            if rule.action in actions and not getattr(adapter.source, option):
                yield warning(
                    configured.place("rules", position),
                    f"rewards {rule.action!r} anywhere that the source {adapter.source.name!r} "
                    f"hears of: give the rule a target, or the source its {option}",
                )


@cache
def _done_again() -> frozenset[str]:
    """Return the actions that can be undone as a whole on some platform."""
    # A kind with `undoes` takes back a single event only.
    kinds = (kind for adapter in adapters().values() for kind in adapter.kinds.values())
    return frozenset(kind.action for kind in kinds if kind.undone and kind.undoes is None)


def _reports_undoing(adapter: Adapter, action: str) -> bool:
    if any(kind.undone and kind.action == action for kind in adapter.kinds.values()):
        return True
    examples = templates(adapter.name).values()
    undone = [one for one in examples if any(event.get("undone") for event in one.expect)]
    return any(_is_read_as(adapter, template, action, undone=True) for template in undone)


def _origins(configured: Configured) -> Iterator[Finding]:
    claimed = any(rule.evidence is Evidence.CLAIMED for rule in configured.rules)
    if claimed and not configured.configuration.web.cors_origins:
        yield warning(
            configured.place("web", "cors_origins"),
            "is empty: no shop page can post the claims that the rules reward, unless it is "
            "served under our own origin",
        )


def _shown(examples: Mapping[str, Template]) -> set[str]:
    return {event["action"] for template in examples.values() for event in template.expect}


def _knows(adapter: Adapter, action: str) -> bool:
    """Whether an example has this action, or is read as it when its action is replaced.

    Some platforms choose the names of their actions, so we cannot list them.
    """
    examples = templates(adapter.name)
    if action in _shown(examples):
        return True
    return any(_is_read_as(adapter, template, action) for template in examples.values())


def _is_read_as(adapter: Adapter, template: Template, action: str, *, undone: bool = False) -> bool:
    words = {event["action"]: action for event in template.expect}
    now = utc_now()
    example = replace(template, body=_reworded(template.body, words)).fill(**_EXAMPLE, now=now)
    try:
        signed = adapter.sign(example, now)
        reading = adapter.read(
            Callback(
                method="POST",
                headers=signed.headers,
                query=signed.query,
                body=signed.body,
                received_at=now,
            )
        )
    except (Refusal, CannotSign):
        return False
    return any(event.action == action and (event.undone or not undone) for event in reading.events)


def _reworded(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _reworded(item, words) for key, item in value.items()}
    if isinstance(value, list):
        return [_reworded(item, words) for item in value]
    return words.get(value, value) if isinstance(value, str) else value
