"""Read and validate the configuration file."""

import contextlib
import os
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from app.domain.rules import Rule
from app.domain.sources import Expected
from app.platforms import adapters
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.options import SourceConfig
from app.settings.error_messages import in_our_words, mistakes
from app.settings.errors import ConfigurationError, Mistake
from app.settings.receivers import Receiver
from app.settings.sections import (
    AlertsSection,
    AttemptsSection,
    AwardsSection,
    ClaimsSection,
    ConfirmationSection,
    FileModel,
    GameballSection,
    HistorySection,
    RetentionSection,
    RuleTable,
    WebSection,
    WorkerSection,
)
from app.settings.toml_positions import place


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """A valid configuration file."""

    path: Path
    sources: Mapping[str, Adapter]
    rules: tuple[Rule, ...]
    web: WebSection
    history: HistorySection
    claims: ClaimsSection
    attempts: AttemptsSection
    awards: AwardsSection
    gameball: GameballSection
    confirmation: ConfirmationSection
    retention: RetentionSection
    worker: WorkerSection
    alerts: AlertsSection
    receivers: tuple[Receiver, ...]

    @property
    def expected(self) -> dict[str, Expected]:
        """Return what each source does in normal operation."""
        refusals = self.alerts.refusals()
        return {
            name: replace(adapter.expected, refusals=refusals, named_ids=self._named_ids(adapter))
            for name, adapter in self.sources.items()
        }

    @property
    def account_platforms(self) -> frozenset[str]:
        """Every word for a platform that an event or a claim can carry."""
        return frozenset(
            {
                *adapters(),
                *(adapter.source.accounts for adapter in self.sources.values()),
                *(rule.platform for rule in self.rules),
            }
        )

    def _named_ids(self, adapter: Adapter) -> frozenset[str]:
        """Return the ids of the platform that a source, and the rules it may fulfil, name."""
        name, accounts = adapter.source.name, adapter.source.accounts or adapter.name
        rules = (r for r in self.rules if r.source == name or r.source is None)
        targets = (r.target for r in rules if r.platform == accounts and r.target is not None)
        return frozenset({*adapter.named_ids, *targets})


_NO_ACTIONS = "reports rewards instead of actions: no rule can name it"


def load_configuration(path: Path, variables: Mapping[str, str] | None = None) -> Configuration:
    """Read and validate the file. Raises `ConfigurationError` with every mistake and its place."""
    text = _read(path)
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # tomllib raises other errors too: for numbers of thousands of digits, and for deep nesting.
        raise ConfigurationError([Mistake(str(path), f"is not TOML: {error}")]) from None
    return _Validation(path, text, dict(os.environ if variables is None else variables)).run(data)


def _read(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        hint = f"copy {_example()} there, or name yours in VOUCH_CONFIG"
        problem = f"cannot be read ({type(error).__name__}); {hint}"
        raise ConfigurationError([Mistake(str(path), problem)]) from None
    try:
        # Windows editors put a byte order mark first, which TOML does not allow.
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError([Mistake(str(path), "is not UTF-8")]) from None


def _example() -> Path:
    """Return the path of the example: an installed wheel has its own."""
    packaged = Path(str(resources.files("app"))) / "_config"
    folder = packaged if packaged.is_dir() else Path(__file__).parents[2] / "config"
    return folder / "vouch.example.toml"


def _telling_of_rewards() -> set[str]:
    return {name for name, kind in adapters().items() if kind.reports_rewards}


class _Validation:
    """One pass over one file, which collects all mistakes instead of stopping at the first."""

    def __init__(self, path: Path, text: str, variables: Mapping[str, str]) -> None:
        self.path = path
        self.text = text
        self.variables = variables
        self.mistakes: list[Mistake] = []

    def run(self, data: dict[str, Any]) -> Configuration:
        tables = data.pop("sources", [])
        sources = self._sources(tables)
        model = self._model(data)
        self._origins(data, _named(tables))
        zone = model.awards.zone if model is not None else UTC
        rules = tuple(self._rules(_right_rules(data), sources, zone))
        if self.mistakes or model is None:
            raise ConfigurationError(self.mistakes)
        sections = {name: getattr(model, name) for name in FileModel.model_fields}
        return Configuration(path=self.path, **{**sections, "sources": sources, "rules": rules})

    def _model(self, data: dict[str, Any]) -> FileModel | None:
        try:
            return FileModel.model_validate(data, context={"resolve": self._resolve})
        except ValidationError as error:
            self._collect(error, FileModel, ())
            return None

    def _sources(self, tables: object) -> dict[str, Adapter]:
        sources: dict[str, Adapter] = {}
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self._mistake(("sources",), "write each source as a [[sources]] table")
            return sources
        for position, table in enumerate(tables):
            adapter = self._source(position, table)
            if adapter is None:
                continue
            if adapter.source.name in sources:
                self._mistake(("sources", position, "name"), "another source has the same name")
            sources[adapter.source.name] = adapter
        return sources

    def _source(self, position: int, table: dict[str, Any]) -> Adapter | None:
        kind = adapters().get(str(table.get("platform")))
        if kind is None:
            known = ", ".join(sorted(adapters()))
            self._mistake(("sources", position, "platform"), f"is not one of: {known}")
            self._what_all_sources_have(position, table)
            return None
        try:
            return kind(kind.config.model_validate(table, context={"resolve": self._resolve}))
        except ValidationError as error:
            self._collect(error, kind.config, ("sources", position))
            return None

    def _what_all_sources_have(self, position: int, table: dict[str, Any]) -> None:
        """Check only the common options: the others of an unknown platform are unknown too."""
        try:
            SourceConfig.model_validate(table, context={"resolve": self._resolve})
        except ValidationError as error:
            secrets_left_out = "secrets" not in table
            self._collect(
                error,
                SourceConfig,
                ("sources", position),
                lambda detail: (
                    detail["type"] == "extra_forbidden"
                    or (secrets_left_out and detail["loc"] == ("secrets",))
                ),
            )

    def _origins(self, data: Mapping[str, Any], named: frozenset[str]) -> None:
        """Check which sources each rule names, also when something else is wrong with it."""
        for position, table in _tables(data):
            source = table.get("source")
            if isinstance(source, str) and source not in named:
                self._mistake(("rules", position, "source"), f"no source is named {source!r}")
            elif source is None and table.get("platform") is None:
                self._mistake(("rules", position), "name a source, or a platform")

    def _rules(
        self,
        tables: Iterable[tuple[int, RuleTable]],
        sources: Mapping[str, Adapter],
        zone: tzinfo,
    ) -> Iterator[Rule]:
        for position, table in tables:
            platform = table.platform
            adapter_class = adapters().get(platform or "")
            if table.source is not None and table.source in sources:
                adapter = sources[table.source]
                platform = adapter.source.accounts or adapter.name
                adapter_class = type(adapter)
                if adapter.reports_rewards:
                    self._mistake(("rules", position, "source"), _NO_ACTIONS)
                if table.platform not in (None, platform, adapter.name):
                    problem = f"the source {table.source!r} is of {platform!r}"
                    self._mistake(("rules", position, "platform"), problem)
            elif table.platform in _telling_of_rewards():
                self._mistake(("rules", position, "platform"), _NO_ACTIONS)
            ignores_case = adapter_class is not None and adapter_class.targets_ignore_case
            yield Rule(
                challenge_id=table.challenge_id,
                platform=platform or "",
                action=table.action,
                source=table.source,
                target=table.target.lower() if table.target and ignores_case else table.target,
                evidence=table.evidence,
                repeat=table.repeat,
                hold_seconds=table.hold,
                bar_after_undo=table.bar_after_undo,
                time_zone=zone,
                sources=frozenset() if table.source else _of_one_app(platform, sources),
                target_ignores_case=ignores_case,
            )

    def _resolve(self, value: object) -> object:
        """Read ``env:NAME`` or ``file:PATH``. A secret in the file itself is refused."""
        if not isinstance(value, str):
            return value
        kind, _, rest = value.partition(":")
        if kind == "env" and rest:
            return self._from_environment(rest)
        if kind == "file" and rest:
            return self._from_file(rest)
        raise ValueError("write a secret as env:NAME or file:PATH, never the secret itself")

    def _from_environment(self, name: str) -> str:
        """As our own secrets: the variable itself, or the file that ``<NAME>_FILE`` names."""
        secret = self.variables.get(name, "").strip()
        path = self.variables.get(f"{name}_FILE", "").strip()
        if secret and path:
            raise ValueError(f"both {name} and {name}_FILE are set")
        if path:
            return self._from_file(path)
        if not secret:
            raise ValueError(f"the environment variable {name} is not set or empty")
        return secret

    def _from_file(self, name: str) -> str:
        path = self.path.parent / name
        try:
            secret = path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"the file {name} cannot be read: {type(error).__name__}") from None
        if not secret:
            raise ValueError(f"the file {name} is empty")
        return secret

    def _collect(
        self,
        error: ValidationError,
        model: type[BaseModel],
        prefix: tuple[int | str, ...],
        is_none: Callable[[ErrorDetails], bool] = lambda _: False,
    ) -> None:
        details = mistakes(error)
        broken = {detail["loc"][:-1] for detail in details}
        for detail in details:
            # A list is too short only because its items are invalid, and those are reported.
            if is_none(detail) or (detail["type"] == "too_short" and detail["loc"] in broken):
                continue
            self._mistake((*prefix, *detail["loc"]), in_our_words(detail, model))

    def _mistake(self, location: Sequence[int | str], problem: str) -> None:
        self.mistakes.append(Mistake(place(self.text, location), problem))


def _named(tables: object) -> frozenset[str]:
    """Return the names of all sources, including those with mistakes."""
    named = tables if isinstance(tables, list) else []
    return frozenset(str(table.get("name")) for table in named if isinstance(table, dict))


def _of_one_app(platform: str | None, sources: Mapping[str, Adapter]) -> frozenset[str]:
    """Return the sources of a platform that share their account and event ids; empty: none do.

    Two partners may both have a member 42 and an event 1001. Where their ``accounts`` are equal,
    the operator has declared them to be the same.
    """
    of_it = {name: a for name, a in sources.items() if platform == (a.source.accounts or a.name)}
    if any(
        adapter.ids_are_per_source and not adapter.source.accounts for adapter in of_it.values()
    ):
        return frozenset()
    return frozenset(of_it)


def _right_rules(data: Mapping[str, Any]) -> Iterator[tuple[int, RuleTable]]:
    """Yield the rules that are valid themselves, so that one mistake does not hide others."""
    for position, table in _tables(data):
        with contextlib.suppress(ValidationError):
            yield position, RuleTable.model_validate(table)


def _tables(data: Mapping[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rules as written, if they are tables."""
    tables = data.get("rules", [])
    for position, table in enumerate(tables if isinstance(tables, list) else []):
        if isinstance(table, dict):
            yield position, table
