"""Adapters: one module for each platform, and their common parts in `kit`."""

import importlib
import pkgutil
from functools import cache

from app.platforms.kit.adapter import Adapter


@cache
def adapters() -> dict[str, type[Adapter]]:
    """Return every adapter by its platform's name, found by listing this folder."""
    found: dict[str, type[Adapter]] = {}
    for module in pkgutil.iter_modules(__path__):
        if not module.ispkg:
            adapter = _adapter_in(f"{__name__}.{module.name}")
            found[adapter.name] = adapter
    return found


def _adapter_in(module_name: str) -> type[Adapter]:
    module = importlib.import_module(module_name)
    own = [
        thing
        for thing in vars(module).values()
        if isinstance(thing, type)
        and issubclass(thing, Adapter)
        and thing.__module__ == module_name
    ]
    if len(own) != 1:
        raise TypeError(f"{module_name} must define exactly one Adapter, not {len(own)}")
    return own[0]
