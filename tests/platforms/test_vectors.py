"""Published signatures, judged as their publishers judge them."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Forged
from tests.platforms.callbacks import NOW, adapter_of, callback

VECTORS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("vectors.json").read_text())
SIGNATURES = [vector for vector in VECTORS if "valid" in vector]
HANDSHAKES = [vector for vector in VECTORS if "reply" in vector]


def name(vector: dict[str, Any]) -> str:
    return f"{vector['adapter']}-{vector['id']}"


def clock(adapter: Adapter, of: Callback) -> datetime:
    """A vector is as old as its own timestamp says."""
    times = [scheme.time.parse(of) for scheme in adapter.schemes if scheme.time]
    return times[0] if times else NOW


@pytest.mark.parametrize("vector", SIGNATURES, ids=name)
def test_a_published_signature_is_judged_rightly(vector: dict[str, Any]) -> None:
    adapter = adapter_of(vector["adapter"], **vector["options"])
    body, headers, query = vector["body"].encode(), vector["headers"], vector.get("query", {})
    sent = callback(
        body, headers, query=query, at=clock(adapter, callback(body, headers, query=query))
    )

    if vector["valid"]:
        adapter.verify(sent)
    else:
        with pytest.raises(Forged):
            adapter.verify(sent)


@pytest.mark.parametrize("vector", HANDSHAKES, ids=name)
def test_a_published_handshake_is_answered_as_published(vector: dict[str, Any]) -> None:
    adapter = adapter_of(vector["adapter"], **vector["options"])

    reply = adapter.handshake(callback(method="GET", query=vector["query"]))

    assert reply is not None
    assert json.loads(reply.body) == json.loads(vector["reply"])
