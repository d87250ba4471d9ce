"""Our examples as their platforms send them, and the SDKs that judge them."""

import importlib
import json
from typing import Any

from app.platforms.kit.callback import Callback
from app.platforms.kit.examples import templates
from tests.platforms.callbacks import NOW, adapter_of, arrived

# Ids as the platforms write them: an SDK may want numbers.
WORDS = {"actor": "583231", "target": "186853002", "key": "492700400"}


def sdk(module: str) -> Any:
    """A module of an SDK, which is not there when types are checked."""
    return importlib.import_module(module)


def names(platform: str) -> list[str]:
    return list(templates(platform))


def sent(platform: str, name: str, **words: str) -> Callback:
    """The example, signed with the example source's newest secret."""
    example = templates(platform)[name].fill(now=NOW, **{**WORDS, **words})
    return arrived(adapter_of(platform).sign(example, NOW))


def body(platform: str, name: str, **words: str) -> Any:
    return json.loads(sent(platform, name, **words).body)
