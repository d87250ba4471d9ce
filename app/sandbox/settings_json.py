"""Settings from and to JSON."""

from collections.abc import Mapping
from dataclasses import asdict, replace

from app.sandbox.json_fields import (
    Reader,
    camel,
    items,
    number,
    or_none,
    read_fields,
    seconds,
    text,
    truth,
)
from app.sandbox.settings import (
    DOCUMENTED_LIMITS,
    FORMS,
    Campaign,
    Limit,
    Push,
    SandboxSettings,
)


def changed(settings: SandboxSettings, document: object) -> SandboxSettings:
    """Replace the settings that the document names. A ValueError names every mistake in it."""
    return replace(settings, **read_fields(document, SETTINGS))


def as_json(settings: SandboxSettings) -> dict[str, object]:
    known = settings.known_customers
    return _shown(settings) | {
        "limits": {name: _shown(settings.limit_of(name)) for name in DOCUMENTED_LIMITS},
        "knownCustomers": None if known is None else sorted(known),
        "inactiveCustomers": sorted(settings.inactive_customers),
        "push": settings.push and _shown(settings.push),
        "campaigns": [
            _shown(campaign) | {"outOfReach": sorted(campaign.out_of_reach)}
            for campaign in settings.campaigns
        ],
    }


def _texts(value: object) -> frozenset[str]:
    return frozenset(text(item) for item in items(value))


def _limit(value: object) -> Limit:
    return Limit(**read_fields(value, {"per_second": number, "per_30_seconds": number}))


def _limits(value: object) -> dict[str, Limit]:
    return read_fields(value, dict.fromkeys(DOCUMENTED_LIMITS, _limit))


def _campaign(value: object) -> Campaign:
    given = read_fields(value, CAMPAIGN)
    if "id" not in given:
        raise ValueError("a campaign needs an id")
    return Campaign(**given)


def _campaigns(value: object) -> tuple[Campaign, ...]:
    return tuple(_campaign(item) for item in items(value))


def _numbers(value: object) -> tuple[int, ...]:
    return tuple(number(item) for item in items(value))


def _form(value: object) -> str:
    if value not in FORMS:
        raise ValueError(f"expected one of {', '.join(FORMS)}")
    return str(value)


def _forms(value: object) -> tuple[str, ...]:
    return tuple(_form(item) for item in items(value))


def _push(value: object) -> Push:
    given = read_fields(value, PUSH)
    if "url" not in given:
        raise ValueError("a push needs a url")
    return Push(**given)


def _shown(value: SandboxSettings | Limit | Campaign | Push) -> dict[str, object]:
    return {camel(name): item for name, item in asdict(value).items()}


CAMPAIGN: Mapping[str, Reader] = {
    "id": number,
    "name": text,
    "points": number,
    "max_achievement": number,
    "is_active": truth,
    "type": text,
    "visibility": text,
    "coupon": or_none(text),
    "out_of_reach": _texts,
}
PUSH: Mapping[str, Reader] = {
    "url": text,
    "secret": text,
    "forms": _forms,
    "delay_seconds": seconds,
    "copies": number,
    "campaigns": or_none(_numbers),
}
SETTINGS: Mapping[str, Reader] = {
    "dedup_window_seconds": seconds,
    "grant_delay_seconds": seconds,
    "grant_jitter_seconds": seconds,
    "api_key": text,
    "secret_key": text,
    "gameball_status": or_none(text),
    "limits": _limits,
    "known_customers": or_none(_texts),
    "inactive_customers": _texts,
    "campaigns": _campaigns,
    "other_campaigns": truth,
    "writes_oddly": truth,
    "push": or_none(_push),
}
