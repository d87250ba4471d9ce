"""The result of a check, with its level."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """``place`` is a variable, or a key in the configuration file with its line."""

    level: Level
    place: str
    text: str


def ok(place: str, text: str) -> Finding:
    return Finding(Level.OK, place, text)


def warning(place: str, text: str) -> Finding:
    return Finding(Level.WARNING, place, text)


def error(place: str, text: str) -> Finding:
    return Finding(Level.ERROR, place, text)
