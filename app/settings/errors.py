"""Mistakes in the configuration, with their places."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mistake:
    """``place`` is a variable, or a key of the file with its line."""

    place: str
    problem: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}"


class ConfigurationError(Exception):
    """The configuration cannot be used. Every mistake is listed; the text holds no secret."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("; ".join(map(str, mistakes)))
        self.mistakes = tuple(mistakes)
