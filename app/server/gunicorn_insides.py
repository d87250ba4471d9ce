"""Check that the installed gunicorn has the undocumented names that our worker uses."""

# Any release may rename them.

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

import gunicorn
import structlog

log = structlog.get_logger(__name__)

# Our worker classes. Others are gunicorn's or the operator's.
_OURS = "app.server."
FALLBACK = "gthread"

# A module or class, and the names that we use of it, including attributes of instances. They are
# used in app/server/slow_clients.py and callback_worker.py; this module's test compares.
INSIDES: Mapping[str, Sequence[str]] = {
    "gunicorn.http": ("RequestParser",),
    "gunicorn.http.message:Request": ("_expected_100_continue", "force_close"),
    "gunicorn.http.parser:Parser": ("mesg", "unreader"),
    "gunicorn.http.unreader:Unreader": ("take_buffered",),
    "gunicorn.http.errors": (
        "InvalidResponseHeader",
        "InvalidResponseHeaderName",
        "LimitRequestHeaders",
        "LimitRequestLine",
        "ParseException",
    ),
    "gunicorn.sock": ("ssl_context",),
    "gunicorn.util": ("write_nonblock",),
    "gunicorn.workers.gthread": ("STOP_KEEPALIVE_LINGER", "TConn", "ThreadWorker"),
    "gunicorn.workers.gthread:PollableMethodQueue": ("defer",),
    "gunicorn.workers.gthread:TConn": (
        "cfg",
        "client",
        "close",
        "data_ready",
        "init",
        "initialized",
        "parser",
        "sock",
        "timeout",
    ),
    "gunicorn.workers.gthread:ThreadWorker": (
        "_cap_keepalive",
        "_keepalive_after",
        "accept",
        "alive",
        "app",
        "cfg",
        "finish_request",
        "get_thread_pool",
        "handle",
        "handle_error",
        "handle_request",
        "keepalived_conns",
        "max_keepalived",
        "max_requests",
        "method_queue",
        "murder_keepalived",
        "murder_pending",
        "nr",
        "nr_conns",
        "pending_conns",
        "poller",
        "run",
        "sockets",
        "tpool",
        "wait_for_and_dispatch_events",
        "worker_connections",
    ),
}


def missing() -> list[str]:
    """Return the names that the installed gunicorn lacks, with their places."""
    return [
        f"{place}.{name}" for place, names in INSIDES.items() for name in _missing(place, names)
    ]


def usable_worker(worker_class: object) -> object:
    """Return ``worker_class``, or gunicorn's threads where it is ours and gunicorn has changed.

    gthread serves the same requests, but slow clients hold a thread each, and callbacks share no
    commit.
    """
    if not (isinstance(worker_class, str) and worker_class.startswith(_OURS)):
        return worker_class
    names = missing()
    if not names:
        return worker_class
    log.warning(
        "web.worker_replaced",
        worker=FALLBACK,
        gunicorn=gunicorn.__version__,
        missing=names,
        problem="this gunicorn is not one that Vouch was tested with: slow clients hold threads",
    )
    return FALLBACK


def _missing(place: str, names: Sequence[str]) -> Iterator[str]:
    module, _, kind = place.partition(":")
    try:
        owner: Any = import_module(module)
        owner = getattr(owner, kind) if kind else owner
    except (ImportError, AttributeError):
        yield from names
        return
    set_by_itself = _set_by_itself(owner) if kind else frozenset()
    yield from (name for name in names if not hasattr(owner, name) and name not in set_by_itself)


def _set_by_itself(kind: type) -> frozenset[str]:
    """Return the attributes set in the bodies of ``__init__``: no instance can be made here."""
    makers = (vars(base).get("__init__") for base in kind.__mro__)
    codes = (getattr(maker, "__code__", None) for maker in makers)
    return frozenset(name for code in codes if code is not None for name in code.co_names)
