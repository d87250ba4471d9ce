"""Imitates Gameball's undocumented ways of writing answers."""

# Seen in real answers: `avaliablePointsBalance` for `available…`, a number where a text is
# documented and vice versa, and undocumented members.

_SWAPPED = (("chie", "chei"), ("ailable", "aliable"))
_UNHEARD_OF = {"x-internal": {"shard": 7, "flags": [None, True]}}


def oddly(value: object) -> object:
    if isinstance(value, dict):
        return {_name(key): oddly(item) for key, item in value.items()} | _UNHEARD_OF
    if isinstance(value, list):
        return [oddly(item) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value


def _name(key: str) -> str:
    for documented, seen in _SWAPPED:
        key = key.replace(documented, seen)
    return key
