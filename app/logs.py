"""Logging: events with fields, as JSON lines on stderr, or readable on a terminal."""

import contextlib
import json
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from threading import Lock
from typing import Any

import structlog
from structlog.typing import Processor

# Loggers of libraries that would write by themselves, without our format and redaction.
_FOREIGN = ("gunicorn.error", "gunicorn.access", "werkzeug", "alembic", "py.warnings")
REDACTED = "[redacted]"
# Our code must never log these. This second net is for the day when it does.
_SECRET_WORDS = frozenset(
    {
        "apikey",
        "authorization",
        "body",
        "cookie",
        "email",
        "mobile",
        "password",
        "payload",
        "secret",
        "secretkey",
        "signature",
        "token",
    }
)
_SECRET_TEXTS = re.compile(
    r"bearer\s+[^\s\"',]+"
    r"|vouch_[0-9a-f]{12}_[\w-]+"  # our own keys
    r"|(?<=://)[^/\s@]+(?=@)",  # the user and password of a URL
    re.IGNORECASE,
)

# Without one of these, a text cannot be any of those; nearly all that we log has none.
_IN_SECRET_TEXTS = re.compile(r"[\s_@]")

# Made once: `json.dumps` makes one for each line that may hold something else than JSON.
_ENCODER = json.JSONEncoder(default=repr)


def configure(level: str = "info", pretty: bool | None = None) -> None:
    """Log from ``level`` up. ``pretty``: for people; None: when stderr is a terminal.

    Libraries' messages go the same way. Call it again after a library has set up its loggers.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    is_pretty = sys.stderr.isatty() if pretty is None else pretty
    structlog.configure(
        processors=[*_shared(), *_written(is_pretty)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_names: _Stderr(),
    )
    _adopt_libraries(number, is_pretty)


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Replace values of fields with secret names, and texts that look like secrets."""
    return {name: _redacted(name, value) for name, value in event.items()}


class _Stderr:
    """Writes whole lines to the current stderr, from any thread.

    A line that cannot be written is lost: no request and no thread may fail because of its log.
    """

    _lock = Lock()

    def msg(self, line: str) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    debug = info = warning = error = critical = fatal = exception = log = msg


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            _Stderr().msg(self.format(record))
        except Exception:
            self.handleError(record)


def _shared() -> list[Processor]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]


def _written(is_pretty: bool) -> list[Processor]:
    if is_pretty:
        console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), timestamp_key="time")
        return [structlog.processors.format_exc_info, redact, console]
    return [structlog.processors.format_exc_info, redact, _in_order, _as_json]


def _in_order(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Put time, level and event first: lines are read from the left."""
    first = {name: event.pop(name) for name in ("time", "level", "event") if name in event}
    return {**first, **event}


def _as_json(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    return _ENCODER.encode(event)


def _adopt_libraries(level: int, is_pretty: bool) -> None:
    handler = _Handler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *_shared()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_written(is_pretty),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    for name in _FOREIGN:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def _redacted(name: str, value: object) -> object:
    return REDACTED if _is_secret(name) else _without_secrets(value)


def _without_secrets(value: object) -> object:
    # Every callback is logged: what is most of a line comes first, mappings are the dearest.
    if isinstance(value, str):
        is_suspect = _IN_SECRET_TEXTS.search(value) is not None
        return _SECRET_TEXTS.sub(REDACTED, value) if is_suspect else value
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, list | tuple):
        return [_without_secrets(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _redacted(str(key), item) for key, item in value.items()}
    return value


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    words = re.split(r"[_\W]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    return not _SECRET_WORDS.isdisjoint(words) or "".join(words) in _SECRET_WORDS
